// The AVX-512 instructions that filter_avx512.cpp uses, byte by byte as Intel's manual defines them,
// so that its logic can be tested on any processor.
#pragma once

#include <cstdint>
#include <cstring>

struct __m512i {
    uint8_t byte[64];
};
using __mmask64 = uint64_t;

inline __m512i _mm512_set1_epi8(char value) {
    __m512i r;
    std::memset(r.byte, uint8_t(value), 64);
    return r;
}
inline __m512i _mm512_loadu_si512(const void* from) {
    __m512i r;
    std::memcpy(r.byte, from, 64);
    return r;
}
inline void _mm512_storeu_si512(void* to, __m512i a) { std::memcpy(to, a.byte, 64); }
inline __m512i _mm512_permutexvar_epi8(__m512i index, __m512i a) {
    __m512i r;
    for (int i = 0; i < 64; ++i) r.byte[i] = a.byte[index.byte[i] & 63];
    return r;
}
inline __m512i _mm512_permutex2var_epi8(__m512i a, __m512i index, __m512i b) {
    __m512i r;
    for (int i = 0; i < 64; ++i) {
        const uint8_t place = index.byte[i];
        r.byte[i] = place & 64 ? b.byte[place & 63] : a.byte[place & 63];
    }
    return r;
}
inline __mmask64 _mm512_movepi8_mask(__m512i a) {
    __mmask64 mask = 0;
    for (int i = 0; i < 64; ++i) mask |= __mmask64(a.byte[i] >> 7) << i;
    return mask;
}
inline __m512i _mm512_mask_blend_epi8(__mmask64 mask, __m512i a, __m512i b) {
    __m512i r;
    for (int i = 0; i < 64; ++i) r.byte[i] = mask >> i & 1 ? b.byte[i] : a.byte[i];
    return r;
}
inline __m512i _mm512_adds_epu8(__m512i a, __m512i b) {
    __m512i r;
    for (int i = 0; i < 64; ++i) {
        const int sum = a.byte[i] + b.byte[i];
        r.byte[i] = uint8_t(sum > 255 ? 255 : sum);
    }
    return r;
}
inline __mmask64 _mm512_cmple_epu8_mask(__m512i a, __m512i b) {
    __mmask64 mask = 0;
    for (int i = 0; i < 64; ++i) mask |= __mmask64(a.byte[i] <= b.byte[i]) << i;
    return mask;
}
