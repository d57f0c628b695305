// One query against one segment: exact scores, and which items may be listed at all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segment.hpp"
#include "topk.hpp"

namespace urecjpq {

// What a caller may list, and, for final vectors, what the scores are.
struct Rules {
    const uint64_t* removed = nullptr;   // bit by id
    const uint64_t* allowed = nullptr;   // bit by position
    const uint32_t* excluded = nullptr;  // ascending
    const uint32_t* excluded_end = nullptr;
    const float* vectors = nullptr;      // (num_ids, dim) by id; scores are products with `query`
    const float* query = nullptr;        // (dim)
    int64_t dim = 0;                     // a multiple of 8
    double slack = 0;                    // how far bounds may lie below float32 scores
    int64_t num_ids = int64_t(1) << 32;  // a damaged file may hold ids beyond `removed` or `vectors`
};

struct Counts {
    int64_t items_scored = 0, looked_at = 0, skipped = 0, warm_ns = 0, scan_ns = 0, lines_read = 0;
};

// Eight partial sums, then pairs: the order that every path and the reference share.
inline float product(const float* a, const float* b, int64_t dim) {
    float sums[8];
    for (int lane = 0; lane < 8; ++lane) sums[lane] = a[lane] * b[lane];
    for (int64_t c = 8; c < dim; c += 8)
        for (int lane = 0; lane < 8; ++lane) sums[lane] += a[c + lane] * b[c + lane];
    for (int lane = 0; lane < 4; ++lane) sums[lane] += sums[lane + 4];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

template <class SubId>
class Query {
public:
    // tables: (code_length splits, stride) float32 sub-scores.
    Query(const Segment<SubId>& segment, const float* tables, int64_t k, const Rules& rules)
        : segment(segment), tables(tables), best(k), rules(rules) {}

    // Scores the marked items of a block exactly and keeps those that belong to the best.
    void score(int64_t block, uint64_t mask) {
        for (; mask; mask &= mask - 1) {
            const int position = __builtin_ctzll(mask);
            if (rules.vectors) {
                // A vector costs a trip to memory: ask the bound again, without bytes' rounding.
                if (bounded && double(code_score(block, position)) + room < best.threshold())
                    continue;
                ++counts.items_scored;
                const uint32_t id = segment.id(block, position);
                if (listable(id)) keep(vector_score(id), id);
            } else {
                ++counts.items_scored;
                const float score = code_score(block, position);
                if (score < best.threshold()) continue;
                const uint32_t id = segment.id(block, position);
                if (best.admits({score, id}) && listable(id)) best.add({score, id});
            }
        }
    }

    // Scores all allowed items of a block, split by split.
    void score_all(int64_t block) {
        uint64_t mask = segment.used(block);
        if (rules.allowed) mask &= rules.allowed[block];
        if (!mask) return;
        if (rules.vectors) return score(block, mask);
        float scores[BLOCK];
        for (int split = 0; split < segment.code_length; ++split)
            add_split(block, split, scores);
        counts.items_scored += __builtin_popcountll(mask);
        const float threshold = best.threshold();
        for (int i = 0; i < BLOCK; ++i) {
            if (scores[i] < threshold || !(mask >> i & 1)) continue;
            const uint32_t id = segment.id(block, i);
            if (best.admits({scores[i], id}) && listable(id)) best.add({scores[i], id});
        }
    }

    const Segment<SubId>& segment;
    const float* tables;
    TopK best;
    Rules rules;
    Counts counts;
    bool bounded = false;  // whether a score lies at most `room` above its sub-scores' sum
    double room = 0;

private:
    bool listable(uint32_t id) const {
        if (id >= rules.num_ids) return false;
        if (rules.removed && (rules.removed[id >> 6] >> (id & 63) & 1)) return false;
        return !std::binary_search(rules.excluded, rules.excluded_end, id);
    }

    void keep(float score, uint32_t id) {
        if (best.admits({score, id})) best.add({score, id});
    }

    float vector_score(uint32_t id) const {
        return product(rules.query, rules.vectors + int64_t(id) * rules.dim, rules.dim);
    }

    // Summed in the splits' own order, beginning with the first: the reference's bits.
    float code_score(int64_t block, int position) const {
        float sum = sub_score(block, position, 0);
        for (int split = 1; split < segment.code_length; ++split)
            sum += sub_score(block, position, split);
        return sum;
    }

    float sub_score(int64_t block, int position, int split) const {
        const int place = segment.place_of[split];
        const SubId* line = segment.line(block, place);
        const SubId stored = line ? line[position] : segment.low(block, place);
        return tables[int64_t(split) * segment.stride + segment.sub_id(stored)];
    }

    void add_split(int64_t block, int split, float* scores) const {
        const int place = segment.place_of[split];
        const SubId* line = segment.line(block, place);
        const float* table = tables + int64_t(split) * segment.stride;
        const float same = line ? 0.0f : table[segment.sub_id(segment.low(block, place))];
        for (int i = 0; i < BLOCK; ++i) {
            const float found = line ? table[segment.sub_id(line[i])] : same;
            scores[i] = split ? scores[i] + found : found;
        }
    }
};

}  // namespace urecjpq
