// 64 sums in four NEON registers. A table of 256 bytes is four table look-ups of 64 entries.
#include "filter.hpp"

#if defined(URECJPQ_EMULATE)
#include "emulated_neon.hpp"
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#define URECJPQ_NO_NEON
#endif

#if !defined(URECJPQ_NO_NEON)

namespace urecjpq {
namespace {

template <int TABLES>
struct NeonLanes {
    uint8x16_t sums[4];

    NeonLanes(uint8_t start, int) {
        for (auto& part : sums) part = vdupq_n_u8(start);
    }

    void add(const uint8_t* losses, const uint8_t* line) {
        uint8x16_t index[4], found[4];
        for (int part = 0; part < 4; ++part) {
            index[part] = vld1q_u8(line + part * 16);
            found[part] = vqtbl4q_u8(vld1q_u8_x4(losses), index[part]);  // 0 beyond entry 63
        }
        for (int table = 1; table * 4 < TABLES; ++table) {
            const uint8x16x4_t entries = vld1q_u8_x4(losses + table * 64);
            for (int part = 0; part < 4; ++part) {
                index[part] = vsubq_u8(index[part], vdupq_n_u8(64));
                found[part] = vqtbx4q_u8(found[part], entries, index[part]);  // kept beyond 63
            }
        }
        for (int part = 0; part < 4; ++part) sums[part] = vqaddq_u8(sums[part], found[part]);
    }

    void add_key(const uint8_t* losses, const uint8_t* line, int, int) { add(losses, line); }

    void store(uint8_t* values) const {
        for (int part = 0; part < 4; ++part) vst1q_u8(values + part * 16, sums[part]);
    }

    uint64_t at_most(uint8_t limit) const {
        const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        uint64_t found = 0;
        for (int part = 0; part < 4; ++part) {
            const uint8x16_t kept = vandq_u8(vcleq_u8(sums[part], vdupq_n_u8(limit)), weights);
            const uint64_t low = vaddv_u8(vget_low_u8(kept)), high = vaddv_u8(vget_high_u8(kept));
            found |= (low | high << 8) << (part * 16);
        }
        return found;
    }
};

}  // namespace

ByteFilter neon_filter(int num_tables) {
    if (num_tables <= 4) return filter_blocks<NeonLanes<4>, uint8_t>;
    if (num_tables <= 8) return filter_blocks<NeonLanes<8>, uint8_t>;
    return filter_blocks<NeonLanes<16>, uint8_t>;
}

}  // namespace urecjpq
#else
namespace urecjpq {
ByteFilter neon_filter(int) { return nullptr; }
}  // namespace urecjpq
#endif
