// Which instruction sets this processor can run.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "filter.hpp"

namespace urecjpq {

inline bool has_avx512() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return avx512_filter(16) && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512bw");
#else
    return false;
#endif
}

inline bool has_avx2() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return avx2_filter(16) && __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

// Best first; "plain" runs everywhere.
inline std::vector<std::string> simd_paths() {
    std::vector<std::string> paths;
    if (has_avx512()) paths.push_back("avx512");
    if (has_avx2()) paths.push_back("avx2");
    if (neon_filter(16)) paths.push_back("neon");
    paths.push_back("plain");
    return paths;
}

inline int tables_of(int codebook_size) {
    int tables = 1;
    while (tables * 16 < codebook_size) tables *= 2;
    return tables;
}

inline void choose(const std::string& simd, int codebook_size, Filter<uint8_t>& filter) {
    const int tables = tables_of(codebook_size);
    if (simd == "avx512" && has_avx512()) filter = avx512_filter(tables);
    else if (simd == "avx2" && has_avx2()) filter = avx2_filter(tables);
    else if (simd == "neon" && neon_filter(tables)) filter = neon_filter(tables);
    else if (simd == "plain") filter = plain_filter();
    else throw std::invalid_argument("simd must be one of simd_paths(); got " + simd);
}

// Sub-ids of two bytes have no table that fits registers.
inline void choose(const std::string&, int, Filter<uint16_t>& filter) {
    filter = plain_wide_filter();
}

}  // namespace urecjpq
