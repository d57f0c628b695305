// Sub-scores of every centroid, summed over a split's dimensions in one fixed order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace urecjpq {

// A few queries share each split's centroids, (dim, b), while they are in cache. Each product is
// rounded before it is added (no fused multiply-add), so every processor gives the same bits.
inline void fill_split(const float* const* queries, int count, const float* centroids, int64_t dim,
                       int64_t b, float* const* out) {
    for (int64_t c = 0; c < dim; ++c) {
        const float* row = centroids + c * b;
        for (int q = 0; q < count; ++q) {
            const float value = queries[q][c];
            float* sums = out[q];
            if (c == 0) {
                for (int64_t g = 0; g < b; ++g) sums[g] = value * row[g];
            } else {
                for (int64_t g = 0; g < b; ++g) sums[g] += value * row[g];
            }
        }
    }
}

// queries (n, m * dim), centroids (m, dim, b) -> out (n, m, b)
inline void fill_tables(const float* queries, const float* centroids, int64_t n, int64_t m,
                        int64_t dim, int64_t b, int threads, float* out) {
    constexpr int64_t TOGETHER = 8;
    std::atomic<int64_t> next{0};
    const auto work = [&] {
        for (int64_t first; (first = next.fetch_add(TOGETHER)) < n;) {
            const int count = int(std::min(TOGETHER, n - first));
            for (int64_t split = 0; split < m; ++split) {
                const float* rows[TOGETHER];
                float* sums[TOGETHER];
                for (int q = 0; q < count; ++q) {
                    rows[q] = queries + (first + q) * m * dim + split * dim;
                    sums[q] = out + ((first + q) * m + split) * b;
                }
                fill_split(rows, count, centroids + split * dim * b, dim, b, sums);
            }
        }
    };
    std::vector<std::thread> helpers;
    for (int64_t i = 1; i < threads && i * TOGETHER < n; ++i) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
}

}  // namespace urecjpq
