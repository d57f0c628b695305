// Superblocks: 64 blocks that share the range of their key splits' sub-ids, and so one bound.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "losses.hpp"
#include "segment.hpp"

namespace urecjpq {

// Lowest and highest sub-id of each key split in each superblock. Shape (num_supers, num_keys, 2).
template <class SubId>
std::vector<SubId> super_keys(const Segment<SubId>& segment) {
    const int64_t num_supers = (segment.num_blocks + BLOCKS_PER_SUPER - 1) / BLOCKS_PER_SUPER;
    std::vector<SubId> keys(size_t(num_supers) * segment.num_keys * 2);
    for (int64_t block = 0; block < segment.num_blocks; ++block) {
        const int64_t super = block / BLOCKS_PER_SUPER;
        for (int key = 0; key < segment.num_keys; ++key) {
            SubId* range = &keys[size_t(super * segment.num_keys + key) * 2];
            const bool first = block % BLOCKS_PER_SUPER == 0;
            range[0] = first ? segment.low(block, key) : std::min(range[0], segment.low(block, key));
            range[1] =
                first ? segment.high(block, key) : std::max(range[1], segment.high(block, key));
        }
    }
    return keys;
}

// The highest score that an item of each superblock can have.
template <class SubId>
std::vector<double> super_bounds(const Segment<SubId>& segment, const std::vector<SubId>& keys,
                                 const float* tables, int codebook_size,
                                 const Losses<SubId>& losses) {
    const int64_t num_supers = int64_t(keys.size()) / (segment.num_keys * 2);
    std::vector<double> bounds(size_t(num_supers), losses.total + losses.slack);
    for (int key = 0; key < segment.num_keys; ++key) {
        const int64_t split = segment.split_of[key];
        const RangeMaxima<SubId> maxima(tables + split * segment.stride, codebook_size);
        for (int64_t super = 0; super < num_supers; ++super) {
            const SubId* range = &keys[size_t(super * segment.num_keys + key) * 2];
            bounds[super] -= double(losses.best_of(key)) - maxima(range[0], range[1]);
        }
    }
    return bounds;
}

}  // namespace urecjpq
