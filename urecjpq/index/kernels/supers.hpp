// Superblocks: 64 blocks that share the range of their key splits' sub-ids, and so one bound.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
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

// About how many items have each sub-id, from blocks here and there. Shape (places, stride).
template <class SubId>
std::vector<float> sub_id_shares(const Segment<SubId>& segment) {
    constexpr int64_t SAMPLE = 256;
    const int64_t step = (segment.num_blocks + SAMPLE - 1) / SAMPLE;
    const int64_t sampled = (segment.num_blocks + step - 1) / step;
    std::vector<float> shares(size_t(segment.code_length) * segment.stride, 0.0f);
    for (int place = 0; place < segment.code_length; ++place) {
        float* row = shares.data() + int64_t(place) * segment.stride;
        for (int64_t block = 0; block < segment.num_blocks; block += step) {
            const SubId* line = segment.line(block, place);
            for (int i = 0; i < BLOCK; ++i)
                row[segment.sub_id(line ? line[i] : segment.low(block, place))] +=
                    1.0f / float(sampled * BLOCK);
        }
    }
    return shares;
}

// The highest score that an item of a superblock, or of a block, can have in one query.
template <class SubId>
class Bounds {
public:
    Bounds(const Segment<SubId>& segment, const std::vector<SubId>& keys, const float* tables,
           int codebook_size, const Losses<SubId>& losses)
        : segment_(segment), rest_(losses.total + losses.slack) {
        for (int key = 0; key < segment.num_keys; ++key) {
            const int64_t split = segment.split_of[key];
            maxima_.emplace_back(tables + split * segment.stride, codebook_size);
            rest_ -= losses.best_of(key);
        }
        // Sums of 256 doubles err by less than one part in 10^12.
        rest_ += std::fabs(losses.total) * 1e-12 + losses.slack * 1e-12;
        const int64_t num_supers = int64_t(keys.size()) / (segment.num_keys * 2);
        supers_.resize(size_t(num_supers));
        for (int64_t super = 0; super < num_supers; ++super)
            supers_[size_t(super)] = bound(&keys[size_t(super * segment.num_keys * 2)]);
    }

    int64_t num_supers() const { return int64_t(supers_.size()); }
    double of_super(int64_t super) const { return supers_[size_t(super)]; }

    // The superblocks of highest bounds, the highest first.
    std::vector<int64_t> best_supers(int64_t count) const {
        std::vector<int64_t> all(supers_.size());
        std::iota(all.begin(), all.end(), int64_t(0));
        return best(std::move(all), count, [&](int64_t i) { return supers_[size_t(i)]; });
    }

    // The blocks of highest bounds in some superblocks, the highest first.
    std::vector<int64_t> best_blocks(const std::vector<int64_t>& supers, int64_t count) const {
        std::vector<int64_t> blocks;
        for (int64_t super : supers) {
            const int64_t begin = super * BLOCKS_PER_SUPER;
            const int64_t end = std::min(begin + BLOCKS_PER_SUPER, segment_.num_blocks);
            for (int64_t block = begin; block < end; ++block) blocks.push_back(block);
        }
        const int64_t width = segment_.num_keys * 2;
        return best(std::move(blocks), count,
                    [&](int64_t block) { return bound(segment_.keys + block * width); });
    }

private:
    double bound(const SubId* ranges) const {
        double sum = rest_;
        for (int key = 0; key < segment_.num_keys; ++key)
            sum += maxima_[size_t(key)](ranges[key * 2], ranges[key * 2 + 1]);
        return sum;
    }

    template <class Value>
    static std::vector<int64_t> best(std::vector<int64_t> all, int64_t count, Value value) {
        std::vector<std::pair<double, int64_t>> ranked;
        ranked.reserve(all.size());
        for (int64_t i : all) ranked.emplace_back(-value(i), i);
        const auto middle = ranked.begin() + std::min<int64_t>(count, int64_t(ranked.size()));
        std::partial_sort(ranked.begin(), middle, ranked.end());
        all.clear();
        for (auto entry = ranked.begin(); entry != middle; ++entry) all.push_back(entry->second);
        return all;
    }

    const Segment<SubId>& segment_;
    double rest_;  // what all other splits and rounding can add
    std::vector<RangeMaxima<SubId>> maxima_;
    std::vector<double> supers_;
};

}  // namespace urecjpq
