// A batch of queries against one segment, on one thread or several, with the same bits.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "beside.hpp"
#include "filter.hpp"
#include "prune.hpp"
#include "query.hpp"
#include "scan.hpp"

namespace urecjpq {

enum class Method { scan, pqtopk, prune };

struct Batch {
    const float* tables;  // (num_queries, code_length, stride)
    int64_t num_queries, k;
    Method method;
    int threads;
    Rules rules;                     // what all queries share
    const int64_t* exclude_first;    // (num_queries + 1) or nullptr
    const uint32_t* exclude_ids;
    const double* slack;             // (num_queries) or nullptr
    const float* queries;            // (num_queries, rules.dim) where rules.vectors is given
    int64_t* ids;                    // (num_queries, k)
    float* scores;
    int64_t* counts;                 // (num_queries, 6)
};

template <class SubId>
class Searcher {
public:
    Searcher(const Segment<SubId>& segment, int codebook_size)
        : segment_(segment), codebook_size_(codebook_size), super_keys_(super_keys(segment)),
          shares_(sub_id_shares(segment)) {}

    void run(const Batch& batch, Filter<SubId> filter) {
        if (batch.method == Method::prune) {
            std::call_once(posted_, [&] { postings_ = make_postings(segment_); });
        }
        // Queries of a tile share each superblock while it is in cache.
        const int64_t even = (batch.num_queries + batch.threads - 1) / batch.threads;
        const int64_t tile = std::clamp<int64_t>(even, 1, TILE);
        std::atomic<int64_t> next{0};
        std::exception_ptr failure;
        std::mutex failing;
        const auto work = [&] {
            try {
                for (int64_t q; (q = next.fetch_add(tile)) < batch.num_queries;)
                    search_tile(batch, filter, q, std::min(q + tile, batch.num_queries));
            } catch (...) {
                std::lock_guard<std::mutex> lock(failing);
                failure = std::current_exception();
            }
        };
        const int64_t useful = (batch.num_queries + tile - 1) / tile;
        run_beside(work, int(std::min<int64_t>(batch.threads, useful)) - 1);
        if (failure) std::rethrow_exception(failure);
    }

private:
    static constexpr int64_t TILE = 16;

    Rules rules_of(const Batch& batch, int64_t q) const {
        Rules rules = batch.rules;
        if (batch.exclude_first) {
            rules.excluded = batch.exclude_ids + batch.exclude_first[q];
            rules.excluded_end = batch.exclude_ids + batch.exclude_first[q + 1];
        }
        if (batch.slack) rules.slack = batch.slack[q];
        if (rules.vectors) rules.query = batch.queries + q * rules.dim;
        return rules;
    }

    void search_tile(const Batch& batch, Filter<SubId> filter, int64_t begin, int64_t end) {
        std::vector<Query<SubId>> queries;
        queries.reserve(size_t(end - begin));
        for (int64_t q = begin; q < end; ++q) {
            const float* tables = batch.tables + q * segment_.code_length * segment_.stride;
            queries.emplace_back(segment_, tables, batch.k, rules_of(batch, q));
        }
        const int64_t started = now_ns();
        if (batch.method == Method::scan) {
            scan_tile(queries, filter);
        } else {
            for (auto& query : queries) search_one(query, batch.method);
        }
        const int64_t each = (now_ns() - started) / (end - begin);
        for (int64_t q = begin; q < end; ++q) {
            Query<SubId>& query = queries[size_t(q - begin)];
            query.best.write(batch.ids + q * batch.k, batch.scores + q * batch.k);
            const Counts& c = query.counts;
            const int64_t values[6] = {c.items_scored, c.looked_at,
                                       c.skipped,      c.warm_ns,
                                       each - c.warm_ns, c.lines_read};
            std::copy(values, values + 6, batch.counts + q * 6);
        }
    }

    void search_one(Query<SubId>& query, Method method) {
        if (method == Method::prune && !query.rules.vectors) {
            prune(query, postings_, codebook_size_);
            return;
        }
        for (int64_t block = 0; block < segment_.num_blocks; ++block) query.score_all(block);
        query.counts.looked_at = segment_.num_blocks;
    }

    void scan_tile(std::vector<Query<SubId>>& queries, Filter<SubId> filter) {
        std::vector<Scan<SubId>> scans;
        scans.reserve(queries.size());
        for (auto& query : queries) {
            scans.emplace_back(query, super_keys_, shares_, codebook_size_, filter);
            if (scans.back().usable()) scans.back().warm_up();
        }
        for (size_t i = 0; i < scans.size(); ++i)
            if (!scans[i].usable()) search_one(queries[i], Method::pqtopk);
        const int64_t num_supers = scans.front().num_supers();
        for (int64_t super = 0; super < num_supers; ++super)
            for (auto& scan : scans)
                if (scan.usable()) scan.visit(super);
    }

    Segment<SubId> segment_;
    int codebook_size_;
    std::vector<SubId> super_keys_;
    std::vector<float> shares_;
    std::once_flag posted_;
    Postings postings_;
};

}  // namespace urecjpq
