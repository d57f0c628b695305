// The fast exact search: start on the best superblocks, then filter every block by bytes.
#pragma once

#include <chrono>
#include <numeric>
#include <vector>

#include "filter.hpp"
#include "losses.hpp"
#include "query.hpp"
#include "supers.hpp"

namespace urecjpq {

inline int64_t now_ns() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

template <class SubId>
class Scan {
public:
    static constexpr int WARM = 16;  // superblocks looked at before the pass over all

    Scan(Query<SubId>& query, const std::vector<SubId>& keys, int codebook_size,
         Filter<SubId> filter)
        : query_(query), segment_(query.segment), filter_(filter),
          losses_(segment_, query.tables, codebook_size, query.rules.slack),
          bounds_(super_bounds(segment_, keys, query.tables, codebook_size, losses_)),
          done_(bounds_.size(), 0) {
        // Rounding must not hide an item: one part in 10^12 covers sums of 256 doubles.
        margin_ = std::fabs(losses_.total) * 1e-12 + losses_.slack * 1e-12;
    }

    // Whether bytes can bound this query's scores; if not, score everything.
    bool usable() const { return losses_.usable; }

    // Finds a threshold near the last one where high scores are likeliest.
    void warm_up() {
        const int64_t started = now_ns();
        const size_t count = std::min(bounds_.size(), size_t(WARM));
        std::vector<uint32_t> order(bounds_.size());
        std::iota(order.begin(), order.end(), 0u);
        const auto better = [&](uint32_t a, uint32_t b) {
            return bounds_[a] > bounds_[b] || (bounds_[a] == bounds_[b] && a < b);
        };
        std::partial_sort(order.begin(), order.begin() + count, order.end(), better);
        size_t next = 0;
        for (; next < count && !query_.best.full(); ++next) score_super(order[next]);
        if (query_.best.full()) {
            round();
            for (; next < count; ++next) visit(order[next]);
            round();
        }
        query_.counts.warm_ns += now_ns() - started;
    }

    // Searches one superblock, unless it was searched before or cannot matter.
    void visit(int64_t super) {
        if (done_[super]) return;
        if (!query_.best.full()) {
            score_super(super);
            if (query_.best.full()) round();
            return;
        }
        const int64_t begin = super * BLOCKS_PER_SUPER;
        const int64_t end = std::min(begin + BLOCKS_PER_SUPER, segment_.num_blocks);
        done_[super] = 1;
        if (bounds_[super] + margin_ < query_.best.threshold()) {
            query_.counts.skipped += end - begin;
            return;
        }
        uint64_t masks[BLOCKS_PER_SUPER];
        const FilterTask<SubId> task{&segment_, losses_.bytes.data(), losses_.order.data(),
                                     losses_.depth, query_.rules.allowed, losses_.limit};
        FilterCounts counts;
        filter_(task, begin, end, masks, counts);
        query_.counts.looked_at += counts.looked_at;
        query_.counts.lines_read += counts.lines_read;
        query_.counts.skipped += end - begin - counts.looked_at;
        const float before = query_.best.threshold();
        for (int64_t block = begin; block < end; ++block)
            if (masks[block - begin]) query_.score(block, masks[block - begin]);
        if (query_.best.threshold() > before) losses_.raise(query_.best.threshold());
    }

    int64_t num_supers() const { return int64_t(bounds_.size()); }

private:
    void round() {
        losses_.round(query_.best.threshold());
        losses_.plan();
    }

    void score_super(int64_t super) {
        const int64_t begin = super * BLOCKS_PER_SUPER;
        const int64_t end = std::min(begin + BLOCKS_PER_SUPER, segment_.num_blocks);
        for (int64_t block = begin; block < end; ++block) query_.score_all(block);
        query_.counts.looked_at += end - begin;
        done_[super] = 1;
    }

    Query<SubId>& query_;
    const Segment<SubId>& segment_;
    Filter<SubId> filter_;
    Losses<SubId> losses_;
    std::vector<double> bounds_;
    std::vector<uint8_t> done_;
    double margin_;
};

}  // namespace urecjpq
