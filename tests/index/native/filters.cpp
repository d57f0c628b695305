// Holds the filter of every instruction set to sums done one by one, on random blocks.
// Prints the paths that ran and ends with 1 at the first difference.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "filter.hpp"

using namespace urecjpq;

namespace {

std::mt19937 random_bits(0);
int below(int n) { return int(random_bits() % unsigned(n)); }

struct Case {
    std::vector<uint8_t> lines, keys, losses, depth;
    std::vector<uint32_t> first_line{0};
    std::vector<int32_t> split_of, order;
    std::vector<uint64_t> allowed;
    Segment<uint8_t> segment{};
    int codebook_size, limit;
    bool masked;
};

void add_line(Case& c, int low, int high) {
    for (int i = 0; i < BLOCK; ++i) c.lines.push_back(uint8_t(low + below(high - low + 1)));
    c.lines[c.lines.size() - BLOCK] = uint8_t(low);
    c.lines[c.lines.size() - 1] = uint8_t(high);
}

Case random_case() {
    Case c;
    const int m = 1 + below(10), num_keys = m < 2 ? m : 2, num_blocks = 1 + below(64);
    c.codebook_size = 1 + below(below(2) ? 256 : 40);
    const int spread = 1 + below(200);
    for (int i = 0; i < m * 256; ++i) c.losses.push_back(uint8_t(below(spread)));
    c.losses.resize(size_t(m + 1) * 256, 0);
    for (int left = 0; left < 256; ++left) c.depth.push_back(uint8_t(below(m - num_keys + 1)));
    for (int split = 0; split < m; ++split) c.split_of.push_back(split);
    for (int place = num_keys; place < m; ++place) c.order.push_back(place);
    for (int block = 0; block < num_blocks; ++block) {
        for (int key = 0; key < num_keys; ++key) {
            const int low = below(c.codebook_size);
            const int high = below(2) ? low : low + below(c.codebook_size - low);
            c.keys.push_back(uint8_t(low));
            c.keys.push_back(uint8_t(high));
            if (low != high) add_line(c, low, high);
        }
        for (int place = num_keys; place < m; ++place) add_line(c, 0, c.codebook_size - 1);
        c.first_line.push_back(uint32_t(c.lines.size() / BLOCK));
        c.allowed.push_back(uint64_t(random_bits()) << 32 | random_bits());
    }
    c.masked = below(3) == 0;
    c.limit = below(255);
    const int64_t num_items = int64_t(num_blocks - 1) * BLOCK + 1 + below(BLOCK);
    c.segment = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                 num_items, num_blocks, m, num_keys, 256};
    return c;
}

uint64_t expected(const Case& c, int64_t block) {
    uint64_t mask = c.segment.used(block) & (c.masked ? c.allowed[size_t(block)] : ~uint64_t(0));
    for (int i = 0; i < BLOCK; ++i) {
        int sum = 0;
        for (int place = 0; place < c.segment.code_length; ++place) {
            const uint8_t* line = c.segment.line(block, place);
            const int sub_id = line ? line[i] : c.segment.low(block, place);
            sum += c.losses[size_t(place) * 256 + size_t(sub_id)];
        }
        if (sum > c.limit) mask &= ~(uint64_t(1) << i);
    }
    return mask;
}

void check(const Case& c, ByteFilter filter, const char* path) {
    if (!filter) return;
    std::vector<uint64_t> masks(size_t(c.segment.num_blocks));
    const FilterTask<uint8_t> task{&c.segment, c.losses.data(), c.order.data(),
                                   c.depth.data(), c.masked ? c.allowed.data() : nullptr, c.limit};
    FilterCounts counts;
    filter(task, 0, c.segment.num_blocks, masks.data(), counts);
    for (int64_t block = 0; block < c.segment.num_blocks; ++block)
        if (masks[size_t(block)] != expected(c, block)) {
            std::printf("%s differs in block %lld\n", path, static_cast<long long>(block));
            std::exit(1);
        }
}

}  // namespace

int main() {
    for (int i = 0; i < 2000; ++i) {
        Case c = random_case();
        c.segment.lines = c.lines.data();
        c.segment.first_line = c.first_line.data();
        c.segment.keys = c.keys.data();
        c.segment.split_of = c.segment.place_of = c.split_of.data();
        int tables = 1;
        while (tables * 16 < c.codebook_size) tables *= 2;
        check(c, plain_filter(), "plain");
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2")) check(c, avx2_filter(tables), "avx2");
#endif
        check(c, avx512_filter(tables), "avx512");
        check(c, neon_filter(tables), "neon");
    }
    std::printf("plain%s%s%s\n", avx2_filter(16) ? " avx2" : "", avx512_filter(16) ? " avx512" : "",
                neon_filter(16) ? " neon" : "");
}
