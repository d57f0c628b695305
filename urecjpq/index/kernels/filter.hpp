// Which items of some blocks may still reach the top K, judged by sums of bytes.
//
// The losses of a query are how far each sub-score lies below the best of its split, in steps,
// rounded down. Their sum over an item's splits bounds from below how far its score lies under the
// best thinkable one, so items whose sum exceeds `limit` are out. Sums saturate at 255 > limit.
//
// Each instruction set gives `Lanes`: 64 sums, which can add a line's losses and be compared. Its
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
    const uint8_t* losses;      // (code_length places + 1, stride): the last row is all zero
    const int32_t* order;       // places that are not keys, the most selective first
    const uint8_t* depth;       // (256): lines worth reading at once, by the losses still allowed
    const uint64_t* allowed;    // (num_blocks) or nullptr
    int limit;                  // at most 254
    bool far;                   // whether lines lie in memory, beyond the caches
};

// Writes the mask of survivors of the blocks begin … end - 1, at most a superblock, to masks[0 …].
template <class SubId>
using Filter = void (*)(const FilterTask<SubId>&, int64_t begin, int64_t end, uint64_t* masks,
                        FilterCounts& counts);

// The items of a superblock that outlived the first lines of their block, and their sums so far.
template <class SubId>
struct Survivors {
    uint16_t item[BLOCKS_PER_SUPER * BLOCK + 4];  // block * 64 + position
    uint8_t sum[BLOCKS_PER_SUPER * BLOCK + 4];
    const SubId* line[BLOCKS_PER_SUPER];          // first line that is not a key's
    uint8_t depth[BLOCKS_PER_SUPER];              // lines added already
    int count = 0;

    // Most blocks leave fewer than four: those are written without a branch that could fail.
    URECJPQ_INLINE void append(int block, uint64_t alive, const uint8_t* sums) {
        int here = count;
        count += __builtin_popcountll(alive);
        for (; alive; here += 4) {
            for (int i = 0; i < 4; ++i, alive &= alive - 1) {
                const int position = alive ? __builtin_ctzll(alive) : 0;
                item[here + i] = uint16_t(block * BLOCK + position);
                sum[here + i] = sums[position];
            }
        }
    }
};

// Adds one more line's loss to every survivor, again and again; those over the limit drop out.
template <class SubId>
URECJPQ_INLINE void finish(const FilterTask<SubId>& task, Survivors<SubId>& left,
                           uint64_t* masks) {
    const Segment<SubId>& segment = *task.segment;
    const int num_others = segment.code_length - segment.num_keys;
    const int64_t stride = segment.stride;
    for (int round = 0; round < num_others && left.count; ++round) {
        int kept = 0;
        for (int j = 0; j < left.count; ++j) {
            const int item = left.item[j], block = item / BLOCK;
            const int i = left.depth[block] + round;
            const int64_t place = i < num_others ? task.order[i] : segment.code_length;
            const int64_t line = i < num_others ? place - segment.num_keys : 0;
            const SubId stored = left.line[block][line * BLOCK + item % BLOCK];
            const int sum = left.sum[j] + task.losses[place * stride + segment.sub_id(stored)];
            left.item[kept] = uint16_t(item);
            left.sum[kept] = uint8_t(sum);
            kept += sum <= task.limit;
        }
        left.count = kept;
    }
    for (int j = 0; j < left.count; ++j)
        masks[left.item[j] / BLOCK] |= uint64_t(1) << (left.item[j] % BLOCK);
}

// What a block's items lose by the keys that are constant in it.
template <class SubId>
URECJPQ_INLINE int constant_loss(const FilterTask<SubId>& task, int64_t block) {
    const Segment<SubId>& segment = *task.segment;
    int loss = 0;
    for (int key = 0; key < segment.num_keys; ++key)
        if (segment.constant(block, key))
            loss += task.losses[key * segment.stride + segment.sub_id(segment.low(block, key))];
    return loss;
}

// Asks memory for the lines that will be read first. Blocks that are looked at may lie far apart,
// where the processor fetches nothing of its own accord.
template <class SubId>
URECJPQ_INLINE void fetch(const FilterTask<SubId>& task, int64_t begin, int64_t end) {
    const Segment<SubId>& segment = *task.segment;
    for (int64_t block = begin; block < end; ++block) {
        const int constant = constant_loss(task, block);
        if (constant > task.limit) continue;
        __builtin_prefetch(segment.lines + int64_t(segment.first_line[block]) * BLOCK);
        const SubId* line = segment.plain_lines(block);
        const int depth = task.depth[task.limit - constant];
        for (int i = 0; i < depth; ++i)
            __builtin_prefetch(line + (task.order[i] - segment.num_keys) * BLOCK);
    }
}

template <class Lanes, class SubId>
void filter_blocks(const FilterTask<SubId>& task, int64_t begin, int64_t end, uint64_t* masks,
                   FilterCounts& counts) {
    const Segment<SubId>& segment = *task.segment;
    const int num_keys = segment.num_keys, num_others = segment.code_length - num_keys;
    const int64_t stride = segment.stride;
    const bool far = task.far;
    if (far) fetch(task, begin, end);
    Survivors<SubId> left;
    for (int64_t block = begin; block < end; ++block) {
        masks[block - begin] = 0;
        uint64_t alive = segment.used(block);
        if (task.allowed) alive &= task.allowed[block];
        const int constant = constant_loss(task, block);
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
        const int depth = task.depth[task.limit - constant];
        for (int i = 0; i < depth; ++i) {
            const int64_t place = task.order[i];
            sums.add(task.losses + place * stride, line + (place - num_keys) * BLOCK);
        }
        counts.lines_read += depth;
        alive &= sums.at_most(uint8_t(task.limit));
        if (!alive) continue;
        if (far)
            for (int i = depth; i < num_others; ++i)
                __builtin_prefetch(line + (task.order[i] - num_keys) * BLOCK);
        uint8_t values[BLOCK];
        sums.store(values);
        const int here = int(block - begin);
        left.line[here] = line;
        left.depth[here] = uint8_t(depth);
        left.append(here, alive, values);
    }
    finish(task, left, masks);
}

// The filters of each instruction set by the number of 16-entry tables (1, 2, 4, 8, 16).
using ByteFilter = Filter<uint8_t>;
ByteFilter plain_filter();
Filter<uint16_t> plain_wide_filter();
ByteFilter avx2_filter(int num_tables);
ByteFilter avx512_filter(int num_tables);
ByteFilter neon_filter(int num_tables);

}  // namespace urecjpq
