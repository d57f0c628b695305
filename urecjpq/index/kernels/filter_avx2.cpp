// 64 sums in two AVX2 registers. A table of 256 bytes is 16 shuffles of 16, chosen by bits 4 … 7.
#include "filter.hpp"

#if defined(__AVX2__)
#include <immintrin.h>

namespace urecjpq {
namespace {

template <int TABLES>
struct Avx2Lanes {
    static constexpr int LEVELS = TABLES == 16 ? 4 : TABLES == 8 ? 3 : TABLES == 4 ? 2 : TABLES - 1;
    __m256i sums[2];

    Avx2Lanes(uint8_t start, int) { sums[0] = sums[1] = _mm256_set1_epi8(char(start)); }

    // The top bit of each byte of bits[level] is bit 4 + level of the sub-id.
    template <int N, int LEVEL>
    static URECJPQ_INLINE __m256i pick(const uint8_t* table, __m256i index, const __m256i* bits) {
        if constexpr (N == 1) {
            return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(
                                           reinterpret_cast<const __m128i*>(table))),
                                       index);
        } else {
            const __m256i zeros = pick<N / 2, LEVEL - 1>(table, index, bits);
            const __m256i ones = pick<N / 2, LEVEL - 1>(table + N / 2 * 16, index, bits);
            return _mm256_blendv_epi8(zeros, ones, bits[LEVEL - 1]);
        }
    }

    static URECJPQ_INLINE __m256i half_line(const uint8_t* line, int half) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line) + half);
    }

    URECJPQ_INLINE void add(const uint8_t* losses, const uint8_t* line) {
        for (int half = 0; half < 2; ++half) {
            // Both halves at once would keep 16 tables in 16 registers and spill them: 8 % slower.
            asm volatile("" ::: "memory");
            const __m256i sub_ids = half_line(line, half);
            const __m256i bits[4] = {_mm256_slli_epi16(sub_ids, 3), _mm256_slli_epi16(sub_ids, 2),
                                     _mm256_slli_epi16(sub_ids, 1), sub_ids};
            const __m256i index = _mm256_and_si256(sub_ids, _mm256_set1_epi8(15));
            sums[half] = _mm256_adds_epu8(sums[half], pick<TABLES, LEVELS>(losses, index, bits));
        }
    }

    // A key split takes few values in a block: compare with each instead of looking all up.
    URECJPQ_INLINE void add_key(const uint8_t* losses, const uint8_t* line, int low, int high) {
        if (high - low > TABLES / 2) return add(losses, line);
        for (int sub_id = low; sub_id <= high; ++sub_id) {
            const __m256i same = _mm256_set1_epi8(char(sub_id));
            const __m256i loss = _mm256_set1_epi8(char(losses[sub_id]));
            for (int half = 0; half < 2; ++half)
                sums[half] = _mm256_adds_epu8(
                    sums[half],
                    _mm256_and_si256(_mm256_cmpeq_epi8(half_line(line, half), same), loss));
        }
    }

    URECJPQ_INLINE uint64_t at_most(uint8_t limit) const {
        const __m256i limits = _mm256_set1_epi8(char(limit));
        uint64_t found[2];
        for (int half = 0; half < 2; ++half) {
            const __m256i kept = _mm256_cmpeq_epi8(_mm256_min_epu8(sums[half], limits), sums[half]);
            found[half] = uint32_t(_mm256_movemask_epi8(kept));
        }
        return found[0] | found[1] << 32;
    }

    URECJPQ_INLINE void store(uint8_t* values) const {
        for (int half = 0; half < 2; ++half)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(values) + half, sums[half]);
    }
};

}  // namespace

ByteFilter avx2_filter(int num_tables) {
    switch (num_tables) {
        case 1: return filter_blocks<Avx2Lanes<1>, uint8_t>;
        case 2: return filter_blocks<Avx2Lanes<2>, uint8_t>;
        case 4: return filter_blocks<Avx2Lanes<4>, uint8_t>;
        case 8: return filter_blocks<Avx2Lanes<8>, uint8_t>;
        default: return filter_blocks<Avx2Lanes<16>, uint8_t>;
    }
}

}  // namespace urecjpq
#else
namespace urecjpq {
ByteFilter avx2_filter(int) { return nullptr; }
}  // namespace urecjpq
#endif
