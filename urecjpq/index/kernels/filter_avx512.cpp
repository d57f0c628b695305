// 64 sums in one AVX-512 register. With VBMI a table of 256 bytes is two two-register permutes,
// chosen by bit 7.
#include "filter.hpp"

#if defined(URECJPQ_EMULATE)
#include "emulated_avx512.hpp"
#elif defined(__AVX512VBMI__) && defined(__AVX512BW__)
#include <immintrin.h>
#else
#define URECJPQ_NO_AVX512
#endif

#if !defined(URECJPQ_NO_AVX512)
namespace urecjpq {
namespace {

template <int TABLES>
struct Avx512Lanes {
    __m512i sums;

    Avx512Lanes(uint8_t start, int) { sums = _mm512_set1_epi8(char(start)); }

    static __m512i look_up(const uint8_t* losses, __m512i sub_ids) {
        if constexpr (TABLES <= 4)  // up to 64 entries; tables are filled up to 256
            return _mm512_permutexvar_epi8(sub_ids, _mm512_loadu_si512(losses));
        const __m512i lower = _mm512_permutex2var_epi8(
            _mm512_loadu_si512(losses), sub_ids, _mm512_loadu_si512(losses + 64));
        if constexpr (TABLES <= 8) return lower;
        const __m512i upper = _mm512_permutex2var_epi8(
            _mm512_loadu_si512(losses + 128), sub_ids, _mm512_loadu_si512(losses + 192));
        return _mm512_mask_blend_epi8(_mm512_movepi8_mask(sub_ids), lower, upper);
    }

    void add(const uint8_t* losses, const uint8_t* line) {
        sums = _mm512_adds_epu8(sums, look_up(losses, _mm512_loadu_si512(line)));
    }

    void add_key(const uint8_t* losses, const uint8_t* line, int, int) { add(losses, line); }

    uint64_t at_most(uint8_t limit) const {
        return _mm512_cmple_epu8_mask(sums, _mm512_set1_epi8(char(limit)));
    }

    void store(uint8_t* values) const { _mm512_storeu_si512(values, sums); }
};

}  // namespace

ByteFilter avx512_filter(int num_tables) {
    if (num_tables <= 4) return filter_blocks<Avx512Lanes<4>, uint8_t>;
    if (num_tables <= 8) return filter_blocks<Avx512Lanes<8>, uint8_t>;
    return filter_blocks<Avx512Lanes<16>, uint8_t>;
}

}  // namespace urecjpq
#else
namespace urecjpq {
ByteFilter avx512_filter(int) { return nullptr; }
}  // namespace urecjpq
#endif
