// Sub-scores of every centroid, summed over a split's dimensions in one fixed order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "beside.hpp"

// Wider registers where the processor has them; without fused multiply-adds the bits are the same.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define URECJPQ_WIDER __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define URECJPQ_WIDER
#endif

namespace urecjpq {

// One query and one split: centroids (dim, b) -> out (b). Each product is rounded before it is
// added, so every processor gives the same bits. A tile of sums stays in registers.
URECJPQ_WIDER inline void fill_split(const float* query, const float* centroids, int64_t dim,
                                     int64_t b, float* out) {
    constexpr int64_t TILE = 64;
    float sums[TILE];
    int64_t begin = 0;
    for (; begin + TILE <= b; begin += TILE) {
        const float* row = centroids + begin;
        for (int64_t g = 0; g < TILE; ++g) sums[g] = query[0] * row[g];
        for (int64_t c = 1; c < dim; ++c) {
            row += b;
            const float value = query[c];
            for (int64_t g = 0; g < TILE; ++g) sums[g] += value * row[g];
        }
        std::copy_n(sums, TILE, out + begin);
    }
    for (; begin < b; ++begin) {
        float sum = query[0] * centroids[begin];
        for (int64_t c = 1; c < dim; ++c) sum += query[c] * centroids[c * b + begin];
        out[begin] = sum;
    }
}

// queries (n, m * dim), centroids (m, dim, b) -> out (n, m, b)
inline void fill_tables(const float* queries, const float* centroids, int64_t n, int64_t m,
                        int64_t dim, int64_t b, int threads, float* out) {
    constexpr int64_t TOGETHER = 8;  // queries that share a split's centroids while in cache
    std::atomic<int64_t> next{0};
    const auto work = [&] {
        for (int64_t first; (first = next.fetch_add(TOGETHER)) < n;) {
            const int64_t end = std::min(first + TOGETHER, n);
            for (int64_t split = 0; split < m; ++split)
                for (int64_t q = first; q < end; ++q)
                    fill_split(queries + (q * m + split) * dim, centroids + split * dim * b, dim,
                               b, out + (q * m + split) * b);
        }
    };
    const int64_t useful = (n + TOGETHER - 1) / TOGETHER;
    run_beside(work, int(std::min<int64_t>(threads, useful)) - 1);
}

}  // namespace urecjpq
