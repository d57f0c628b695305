// The NEON instructions that filter_neon.cpp uses, lane by lane as Arm's manual defines them.
#pragma once

#include <cstdint>
#include <cstring>

struct uint8x8_t {
    uint8_t lane[8];
};
struct uint8x16_t {
    uint8_t lane[16];
};
struct uint8x16x4_t {
    uint8x16_t val[4];
};

template <class Work>
inline uint8x16_t each_lane(Work work) {
    uint8x16_t r;
    for (int i = 0; i < 16; ++i) r.lane[i] = uint8_t(work(i));
    return r;
}
inline uint8x16_t vdupq_n_u8(uint8_t value) {
    return each_lane([=](int) { return value; });
}
inline uint8x16_t vld1q_u8(const uint8_t* from) {
    return each_lane([=](int i) { return from[i]; });
}
inline uint8x16x4_t vld1q_u8_x4(const uint8_t* from) {
    uint8x16x4_t r;
    std::memcpy(&r, from, 64);
    return r;
}
inline void vst1q_u8(uint8_t* to, uint8x16_t a) { std::memcpy(to, a.lane, 16); }
inline uint8x16_t vqtbx4q_u8(uint8x16_t otherwise, uint8x16x4_t table, uint8x16_t index) {
    return each_lane([&](int i) {
        const int place = index.lane[i];
        return place < 64 ? table.val[place / 16].lane[place % 16] : otherwise.lane[i];
    });
}
inline uint8x16_t vqtbl4q_u8(uint8x16x4_t table, uint8x16_t index) {
    return vqtbx4q_u8(vdupq_n_u8(0), table, index);
}
inline uint8x16_t vsubq_u8(uint8x16_t a, uint8x16_t b) {
    return each_lane([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline uint8x16_t vandq_u8(uint8x16_t a, uint8x16_t b) {
    return each_lane([&](int i) { return a.lane[i] & b.lane[i]; });
}
inline uint8x16_t vqaddq_u8(uint8x16_t a, uint8x16_t b) {
    return each_lane([&](int i) {
        const int sum = a.lane[i] + b.lane[i];
        return sum > 255 ? 255 : sum;
    });
}
inline uint8x16_t vcleq_u8(uint8x16_t a, uint8x16_t b) {
    return each_lane([&](int i) { return a.lane[i] <= b.lane[i] ? 255 : 0; });
}
inline uint8x8_t vget_low_u8(uint8x16_t a) {
    uint8x8_t r;
    std::memcpy(r.lane, a.lane, 8);
    return r;
}
inline uint8x8_t vget_high_u8(uint8x16_t a) {
    uint8x8_t r;
    std::memcpy(r.lane, a.lane + 8, 8);
    return r;
}
inline uint8_t vaddv_u8(uint8x8_t a) {
    uint8_t sum = 0;
    for (uint8_t value : a.lane) sum = uint8_t(sum + value);
    return sum;
}
