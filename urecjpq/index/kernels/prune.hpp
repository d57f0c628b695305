// RecJPQPrune: items of high sub-ids first, until no other item can enter the top K.
//
// Source: Petrov, Macdonald & Tonellotto, SIGIR 2025 (arXiv:2505.00560). Published code gathers
// without split offsets, compares sigmoids (which are all 1 for high scores), fetches fewer than K
// and stops after 1,000 rounds; each of these loses items. Here scores are compared as they are,
// with room for rounding, ties go on, and every candidate passes the caller's rules first.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "losses.hpp"
#include "query.hpp"

namespace urecjpq {

// Positions of the items of each sub-id of each split, in compressed rows.
struct Postings {
    std::vector<int64_t> first;       // (code_length * stride + 1)
    std::vector<uint32_t> positions;  // (code_length * num_items)
};

template <class SubId, class Work>
void for_each_sub_id(const Segment<SubId>& segment, Work work) {
    for (int64_t block = 0; block < segment.num_blocks; ++block) {
        const int count = int(std::min<int64_t>(BLOCK, segment.num_items - block * BLOCK));
        for (int split = 0; split < segment.code_length; ++split) {
            const int place = segment.place_of[split];
            const SubId* line = segment.line(block, place);
            for (int i = 0; i < count; ++i) {
                const int sub_id = segment.sub_id(line ? line[i] : segment.low(block, place));
                work(int64_t(split) * segment.stride + sub_id, uint32_t(block * BLOCK + i));
            }
        }
    }
}

template <class SubId>
Postings make_postings(const Segment<SubId>& segment) {
    Postings postings;
    postings.first.assign(size_t(segment.code_length) * segment.stride + 1, 0);
    for_each_sub_id(segment, [&](int64_t row, uint32_t) { ++postings.first[row + 1]; });
    std::partial_sum(postings.first.begin(), postings.first.end(), postings.first.begin());
    postings.positions.resize(size_t(segment.code_length) * segment.num_items);
    std::vector<int64_t> next(postings.first.begin(), postings.first.end() - 1);
    for_each_sub_id(segment, [&](int64_t row, uint32_t position) {
        postings.positions[next[row]++] = position;
    });
    return postings;
}

template <class SubId>
void prune(Query<SubId>& query, const Postings& postings, int codebook_size) {
    constexpr int SUB_IDS_AT_ONCE = 8;
    const Segment<SubId>& segment = query.segment;
    const int m = segment.code_length;
    const Losses<SubId> losses(segment, query.tables, codebook_size, 0.0);
    std::vector<uint64_t> seen(size_t(segment.num_blocks), 0);
    std::vector<int32_t> order(size_t(m) * codebook_size);
    std::vector<int> next(size_t(m), 0);
    const auto row = [&](int split) { return query.tables + int64_t(split) * segment.stride; };
    for (int split = 0; split < m; ++split) {
        int32_t* ids = &order[size_t(split) * codebook_size];
        std::iota(ids, ids + codebook_size, 0);
        std::stable_sort(ids, ids + codebook_size,
                         [&](int a, int b) { return row(split)[a] > row(split)[b]; });
    }
    const auto upcoming = [&](int split) {
        return row(split)[order[size_t(split) * codebook_size + next[split]]];
    };
    for (;;) {
        double highest = 0;  // what an item not seen yet may score at most
        int chosen = 0;
        for (int split = 0; split < m; ++split) {
            highest += upcoming(split);
            if (upcoming(split) > upcoming(chosen)) chosen = split;
        }
        if (losses.usable && query.best.full() &&
            highest + losses.slack < query.best.threshold())
            return;
        const int stop = std::min(next[chosen] + SUB_IDS_AT_ONCE, codebook_size);
        for (; next[chosen] < stop; ++next[chosen]) {
            const int64_t list = int64_t(chosen) * segment.stride +
                                 order[size_t(chosen) * codebook_size + next[chosen]];
            for (int64_t i = postings.first[list]; i < postings.first[list + 1]; ++i) {
                const uint32_t position = postings.positions[i];
                const int64_t block = position / BLOCK;
                const uint64_t bit = uint64_t(1) << (position % BLOCK);
                if (seen[block] & bit) continue;
                seen[block] |= bit;
                if (!query.rules.allowed || (query.rules.allowed[block] & bit))
                    query.score(block, bit);
            }
        }
        if (next[chosen] == codebook_size) return;  // every item has a sub-id in every split
    }
}

}  // namespace urecjpq
