// The arrays of layout.py as the kernels read them, and how to find an item's sub-ids and id.
#pragma once

#include <cstdint>

// Every file that includes this one must get its own copy of these functions: a linker that merged
// them could hand code compiled for AVX2 to a processor without it.
#define URECJPQ_INLINE inline __attribute__((always_inline))

namespace urecjpq {

constexpr int BLOCK = 64;              // items per block; one bit each in a mask
constexpr int BLOCKS_PER_SUPER = 64;   // blocks that share one bound: 4,096 items

template <class SubId>
struct Segment {
    const SubId* lines;            // (num_lines, 64)
    const uint32_t* first_line;    // (num_blocks + 1)
    const SubId* keys;             // (num_blocks, num_keys, 2): lowest and highest sub-id
    const uint32_t* id_base;       // (num_blocks)
    const uint32_t* id_first;      // (num_blocks + 1)
    const uint64_t* id_planes;     // (num_planes)
    const int32_t* split_of;       // (code_length): the split stored at each place
    const int32_t* place_of;       // (code_length): its inverse
    int64_t num_items, num_blocks;
    int code_length, num_keys;
    int stride;                    // entries per split in score and loss tables: a power of two

    URECJPQ_INLINE SubId low(int64_t block, int key) const { return keys[(block * num_keys + key) * 2]; }
    URECJPQ_INLINE SubId high(int64_t block, int key) const { return keys[(block * num_keys + key) * 2 + 1]; }
    URECJPQ_INLINE bool constant(int64_t block, int key) const { return low(block, key) == high(block, key); }

    // The line of the first split that is not a key; those of keys that vary lie before it.
    URECJPQ_INLINE const SubId* plain_lines(int64_t block) const {
        const SubId* line = lines + int64_t(first_line[block]) * BLOCK;
        for (int key = 0; key < num_keys; ++key) line += constant(block, key) ? 0 : BLOCK;
        return line;
    }

    // The line of a place, or nullptr where the block has one sub-id there, low(block, place).
    URECJPQ_INLINE const SubId* line(int64_t block, int place) const {
        if (place >= num_keys) return plain_lines(block) + (place - num_keys) * BLOCK;
        if (constant(block, place)) return nullptr;
        const SubId* first = lines + int64_t(first_line[block]) * BLOCK;
        return first + (place == 1 && !constant(block, 0) ? BLOCK : 0);
    }

    // A sub-id of a damaged file stays inside the tables.
    URECJPQ_INLINE int sub_id(SubId stored) const { return int(stored) & (stride - 1); }

    // Positions of a block that hold an item.
    URECJPQ_INLINE uint64_t used(int64_t block) const {
        int64_t left = num_items - block * BLOCK;
        return left >= BLOCK ? ~uint64_t(0) : (uint64_t(1) << left) - 1;
    }

    // Plane j holds bit j of every step between neighbours: a popcount adds up a prefix of them.
    URECJPQ_INLINE uint32_t id(int64_t block, int position) const {
        uint64_t prefix = ~uint64_t(0) >> (BLOCK - 1 - position);
        uint32_t sum = id_base[block];
        const uint64_t* plane = id_planes + id_first[block];
        int num_planes = int(id_first[block + 1] - id_first[block]);
        for (int j = 0; j < num_planes; ++j)
            sum += uint32_t(__builtin_popcountll(plane[j] & prefix)) << j;
        return sum;
    }
};

}  // namespace urecjpq
