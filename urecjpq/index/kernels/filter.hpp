// Which items of some blocks may still reach the top K, judged by sums of bytes.
//
// The losses of a query are how far each sub-score lies below the best of its split, in steps,
// rounded down. Their sum over an item's splits bounds from below how far its score lies under the
// best thinkable one, so items whose sum exceeds `limit` are out. Sums saturate at 255 > limit.
//
// Each instruction set gives `Lanes`: 64 sums, which can add a line's losses and be compared. FEW is
// how many items are quicker to finish one by one than by a whole line. Its
// file is compiled with flags of its own and must not share an inline function with other files.
#pragma once

#include "segment.hpp"

namespace urecjpq {

struct FilterCounts {
    int64_t looked_at = 0, lines_read = 0;
};

template <class SubId>
struct FilterTask {
    const Segment<SubId>* segment;
    const uint8_t* losses;      // (code_length places, stride)
    const int32_t* order;       // places that are not keys, the most selective first
    const uint64_t* allowed;    // (num_blocks) or nullptr
    int limit;                  // 0 … 254
};

// Writes the mask of survivors of the blocks begin … end - 1 to masks[0 …].
template <class SubId>
using Filter = void (*)(const FilterTask<SubId>&, int64_t begin, int64_t end, uint64_t* masks,
                        FilterCounts& counts);

// Adds up the few items left one by one, each until it is out.
template <class SubId>
URECJPQ_INLINE uint64_t finish_few(const FilterTask<SubId>& task, const SubId* line, int done,
                                   uint64_t alive, const uint8_t* sums) {
    const Segment<SubId>& segment = *task.segment;
    const int num_others = segment.code_length - segment.num_keys;
    uint64_t kept = 0;
    for (uint64_t left = alive; left; left &= left - 1) {
        const int position = __builtin_ctzll(left);
        int sum = sums[position];
        for (int i = done; i < num_others && sum <= task.limit; ++i) {
            const SubId stored = line[(task.order[i] - segment.num_keys) * BLOCK + position];
            sum += task.losses[int64_t(task.order[i]) * segment.stride + segment.sub_id(stored)];
        }
        if (sum <= task.limit) kept |= left & -left;
    }
    return kept;
}

template <class Lanes, class SubId>
void filter_blocks(const FilterTask<SubId>& task, int64_t begin, int64_t end, uint64_t* masks,
                   FilterCounts& counts) {
    const Segment<SubId>& segment = *task.segment;
    const int num_keys = segment.num_keys, num_others = segment.code_length - num_keys;
    const int64_t stride = segment.stride;
    for (int64_t block = begin; block < end; ++block) {
        uint64_t alive = segment.used(block);
        if (task.allowed) alive &= task.allowed[block];
        int constant = 0;
        for (int key = 0; key < num_keys; ++key)
            if (segment.constant(block, key))
                constant += task.losses[key * stride + segment.sub_id(segment.low(block, key))];
        masks[block - begin] = 0;
        if (!alive || constant > task.limit) continue;
        ++counts.looked_at;
        Lanes sums(uint8_t(constant), segment.stride);
        const SubId* line = segment.lines + int64_t(segment.first_line[block]) * BLOCK;
        for (int key = 0; key < num_keys; ++key) {
            if (segment.constant(block, key)) continue;
            sums.add_key(task.losses + key * stride, line, segment.low(block, key),
                         segment.high(block, key));
            line += BLOCK;
            ++counts.lines_read;
        }
        int done = 0;
        for (; done < num_others && alive; ++done) {
            if (Lanes::FEW && __builtin_popcountll(alive) <= Lanes::FEW) break;
            const int64_t place = task.order[done];
            sums.add(task.losses + place * stride, line + (place - num_keys) * BLOCK);
            alive &= sums.at_most(uint8_t(task.limit));
            ++counts.lines_read;
        }
        if (num_others == 0) alive &= sums.at_most(uint8_t(task.limit));
        if (alive && done < num_others) {
            uint8_t values[BLOCK];
            sums.store(values);
            alive = finish_few(task, line, done, alive, values);
        }
        masks[block - begin] = alive;
    }
}

// The filters of each instruction set by the number of 16-entry tables (1, 2, 4, 8, 16).
using ByteFilter = Filter<uint8_t>;
ByteFilter plain_filter();
Filter<uint16_t> plain_wide_filter();
ByteFilter avx2_filter(int num_tables);
ByteFilter avx512_filter(int num_tables);
ByteFilter neon_filter(int num_tables);

}  // namespace urecjpq
