// 64 sums in plain C++: the path of every processor without one of its own, and of wide sub-ids.
#include <cstring>

#include "filter.hpp"

namespace urecjpq {
namespace {

template <class SubId>
struct PlainLanes {
    uint8_t sums[BLOCK];
    unsigned mask;

    PlainLanes(uint8_t start, int stride) : mask(unsigned(stride) - 1) {
        for (int i = 0; i < BLOCK; ++i) sums[i] = start;
    }

    // Eight losses go into one word before they touch memory again.
    void add(const uint8_t* losses, const SubId* line) {
        uint64_t found[BLOCK / 8];
        const unsigned inside = mask;
        for (int word = 0; word < BLOCK / 8; ++word) {
            uint64_t packed = 0;
            for (int i = 7; i >= 0; --i) packed = packed << 8 | losses[line[word * 8 + i] & inside];
            found[word] = packed;
        }
        uint8_t bytes[BLOCK];
        std::memcpy(bytes, found, BLOCK);
        for (int i = 0; i < BLOCK; ++i) {  // without a branch, so that compilers vectorise it
            unsigned sum = unsigned(sums[i]) + bytes[i];
            sums[i] = uint8_t(sum > 255 ? 255 : sum);
        }
    }

    void add_key(const uint8_t* losses, const SubId* line, SubId, SubId) { add(losses, line); }

    uint64_t at_most(uint8_t limit) const {
        uint8_t least = 255;
        for (int i = 0; i < BLOCK; ++i) least = sums[i] < least ? sums[i] : least;
        if (least > limit) return 0;
        uint64_t found = 0;
        for (int i = 0; i < BLOCK; ++i) found |= uint64_t(sums[i] <= limit) << i;
        return found;
    }

    void store(uint8_t* values) const { std::memcpy(values, sums, BLOCK); }
};

}  // namespace

ByteFilter plain_filter() { return filter_blocks<PlainLanes<uint8_t>, uint8_t>; }
Filter<uint16_t> plain_wide_filter() { return filter_blocks<PlainLanes<uint16_t>, uint16_t>; }

}  // namespace urecjpq
