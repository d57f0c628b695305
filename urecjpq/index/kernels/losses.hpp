// Sub-scores rounded to bytes, and the bound of 64 blocks at once.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "segment.hpp"

namespace urecjpq {

// How far each sub-score lies below the best of its split, in steps, rounded down.
//
// With R the real sum of an item's sub-scores, its float32 sum s differs by at most `slack`, so
// s >= T needs sum_k (max_k - S_k) <= total - T + slack, and no less than the sum of the losses.
template <class SubId>
class Losses {
public:
    static constexpr int STEPS = 250;    // between the best thinkable score and the threshold
    static constexpr double DEVIATIONS = 2.0;  // leaves about one item in forty
    static constexpr int REFRESH = 125;  // steps left at which rounding anew pays

    Losses(const Segment<SubId>& segment, const float* tables, int codebook_size, double extra)
        : segment_(segment), tables_(tables), size_(codebook_size),
          bytes(size_t(segment.code_length + 1) * segment.stride, 255),
          maxima_(segment.code_length) {
        std::fill(bytes.end() - segment.stride, bytes.end(), uint8_t(0));
        double magnitude = 0;
        for (int split = 0; split < segment.code_length; ++split) {
            const float* row = tables + int64_t(split) * segment.stride;
            maxima_[split] = row[0];
            float largest = 0;
            for (int g = 0; g < size_; ++g) {
                maxima_[split] = std::max(maxima_[split], row[g]);
                largest = std::max(largest, std::fabs(row[g]));
            }
            total += maxima_[split];
            magnitude += largest;
        }
        // m - 1 float32 additions, each within 2^-24 of its result; the margin covers the doubles.
        slack = magnitude * (segment.code_length + 1) * 0x1p-24 * 1.001 + extra;
        usable = magnitude < FLT_MAX * 0.9;
    }

    // Rounds anew for a threshold, so that STEPS steps lie above it.
    void round(float threshold) {
        const double range = total - threshold + slack;
        inverse_ = range > 0 ? STEPS / range : 1.0;
        for (int place = 0; place < segment_.code_length; ++place) {
            const int split = segment_.split_of[place];
            const float* row = tables_ + int64_t(split) * segment_.stride;
            uint8_t* out = bytes.data() + int64_t(place) * segment_.stride;
            const double scale = inverse_ * (1 - 1e-12), best = maxima_[split];
            for (int g = 0; g < size_; ++g)
                out[g] = uint8_t(int(std::min((best - row[g]) * scale, 255.0)));
        }
        set_limit(threshold);
    }

    // Follows a threshold that has risen.
    void raise(float threshold) {
        set_limit(threshold);
        if (limit < REFRESH) round(threshold);
    }

    // Orders the places that are not keys by mean loss over items, the largest first, and decides how many
    // lines a block reads before its survivors go on one by one: as many as leave few of them.
    void plan(const std::vector<float>& shares) {
        const int num_others = segment_.code_length - segment_.num_keys;
        std::vector<double> means(segment_.code_length), variances(segment_.code_length);
        for (int place = 0; place < segment_.code_length; ++place) {
            const uint8_t* row = bytes.data() + int64_t(place) * segment_.stride;
            double sum = 0, squares = 0;
            const float* share = shares.data() + int64_t(place) * segment_.stride;
            for (int g = 0; g < size_; ++g) {
                sum += double(share[g]) * row[g];
                squares += double(share[g]) * row[g] * row[g];
            }
            means[place] = sum;
            variances[place] = std::max(squares - sum * sum, 0.0);
        }
        order.resize(num_others);
        std::iota(order.begin(), order.end(), segment_.num_keys);
        std::stable_sort(order.begin(), order.end(),
                         [&](int a, int b) { return means[a] > means[b]; });
        for (int left = 0; left < 256; ++left) {
            double mean = 0, variance = 0;
            int lines = 0;
            while (lines < num_others && mean - DEVIATIONS * std::sqrt(variance) < left) {
                mean += means[order[lines]];
                variance += variances[order[lines++]];
            }
            depth[left] = uint8_t(std::min(lines, 255));
        }
    }

    float best_of(int place) const { return maxima_[segment_.split_of[place]]; }

private:
    const Segment<SubId>& segment_;
    const float* tables_;
    int size_;

public:
    std::vector<uint8_t> bytes;  // (places + 1, stride): the last row is all zero
    std::vector<int32_t> order;
    uint8_t depth[256] = {};
    double total = 0, slack = 0;
    int limit = 0;
    bool usable = true;

private:
    void set_limit(float threshold) {
        const double steps = (total - threshold + slack) * inverse_ * (1 + 1e-12);
        limit = steps < 0 ? -1 : int(std::min(steps, 254.0));
    }

    std::vector<float> maxima_;
    double inverse_ = 1;
};

// The best sub-score of any range of a key split's sub-ids, by doubling.
template <class SubId>
class RangeMaxima {
public:
    RangeMaxima(const float* row, int size) : size_(size) {
        levels_.emplace_back(row, row + size);
        for (int width = 1; width * 2 <= size; width *= 2) {
            const std::vector<float>& last = levels_.back();
            std::vector<float> next(size_t(size - width * 2 + 1));
            for (size_t i = 0; i < next.size(); ++i) next[i] = std::max(last[i], last[i + width]);
            levels_.push_back(std::move(next));
        }
    }

    float operator()(int low, int high) const {
        high = std::min(high, size_ - 1);  // a damaged file may say more
        low = std::min(low, high);
        const int level = 31 - __builtin_clz(unsigned(high - low + 1));
        return std::max(levels_[level][low], levels_[level][high + 1 - (1 << level)]);
    }

private:
    int size_;
    std::vector<std::vector<float>> levels_;
};

}  // namespace urecjpq
