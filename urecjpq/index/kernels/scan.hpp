// The fast exact search: start on the best superblocks, then filter every block by bytes.
#pragma once

#include <chrono>
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
    static constexpr int64_t WARM = 16;         // superblocks searched before all others
    static constexpr int64_t WARM_BLOCKS = 8;   // blocks between two thresholds there
    static constexpr int64_t CACHE = 1 << 26;   // bytes of lines beyond which they are fetched early
    static constexpr int64_t FIRST_BLOCKS = 4;  // blocks scored exactly at the very start

    Scan(Query<SubId>& query, const std::vector<SubId>& keys, const std::vector<float>& shares,
         int codebook_size, Filter<SubId> filter)
        : query_(query), segment_(query.segment), filter_(filter), shares_(shares),
          losses_(segment_, query.tables, codebook_size, query.rules.slack),
          bounds_(segment_, keys, query.tables, codebook_size, losses_),
          done_(size_t(bounds_.num_supers()), 0) {
        query.bounded = losses_.usable;
        query.room = losses_.slack;
    }

    // Whether bytes can bound this query's scores; if not, score everything.
    bool usable() const { return losses_.usable; }

    int64_t num_supers() const { return bounds_.num_supers(); }

    // Finds a threshold near the last one where high scores are likeliest: a few blocks are scored
    // exactly, then the superblocks they came from are searched.
    void warm_up() {
        const int64_t started = now_ns();
        const std::vector<int64_t> supers = bounds_.best_supers(WARM);
        first_ = bounds_.best_blocks(supers, FIRST_BLOCKS + 2 * query_.best.size() / BLOCK);
        for (int64_t block : first_) query_.score_all(block);
        query_.counts.looked_at += int64_t(first_.size());
        if (query_.best.full()) round();
        for (int64_t super : supers) visit(super, WARM_BLOCKS);
        if (query_.best.full()) round();
        query_.counts.warm_ns += now_ns() - started;
    }

    // Searches one superblock, unless it was searched before or cannot matter; `step` blocks at a
    // time share a threshold.
    void visit(int64_t super, int64_t step = BLOCKS_PER_SUPER) {
        if (done_[size_t(super)]) return;
        done_[size_t(super)] = 1;
        const int64_t begin = super * BLOCKS_PER_SUPER;
        const int64_t end = std::min(begin + BLOCKS_PER_SUPER, segment_.num_blocks);
        if (bounds_.of_super(super) < query_.best.threshold()) {
            query_.counts.skipped += end - begin;
            return;
        }
        for (int64_t block = begin; block < end; block += step) {
            const int64_t stop = std::min(block + step, end);
            if (query_.best.full()) filter(block, stop);
            else score(block, stop);
        }
    }

private:
    void round() {
        losses_.round(query_.best.threshold());
        losses_.plan(shares_);
    }

    bool scored(int64_t block) const {
        return std::find(first_.begin(), first_.end(), block) != first_.end();
    }

    void score(int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; ++block)
            if (!scored(block)) query_.score_all(block);
        query_.counts.looked_at += end - begin;
        if (query_.best.full()) round();
    }

    void filter(int64_t begin, int64_t end) {
        uint64_t masks[BLOCKS_PER_SUPER];
        const FilterTask<SubId> task{&segment_, losses_.bytes.data(), losses_.order.data(),
                                     losses_.depth, query_.rules.allowed, losses_.limit,
                                     segment_.num_blocks * BLOCK * segment_.code_length > CACHE};
        FilterCounts counts;
        filter_(task, begin, end, masks, counts);
        query_.counts.looked_at += counts.looked_at;
        query_.counts.lines_read += counts.lines_read;
        query_.counts.skipped += end - begin - counts.looked_at;
        const float before = query_.best.threshold();
        for (int64_t block = begin; block < end; ++block)
            if (masks[block - begin] && !scored(block)) query_.score(block, masks[block - begin]);
        if (query_.best.threshold() > before) losses_.raise(query_.best.threshold());
    }

    Query<SubId>& query_;
    const Segment<SubId>& segment_;
    Filter<SubId> filter_;
    const std::vector<float>& shares_;
    Losses<SubId> losses_;
    Bounds<SubId> bounds_;
    std::vector<uint8_t> done_;
    std::vector<int64_t> first_;  // a handful of blocks, scored before all others
};

}  // namespace urecjpq
