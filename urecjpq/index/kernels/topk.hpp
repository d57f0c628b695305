// The best K items so far: score descending, equals by the lower id.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace urecjpq {

struct Found {
    float score;
    uint32_t id;
    // Ranks before `other`.
    bool operator<(const Found& other) const {
        return score > other.score || (score == other.score && id < other.id);
    }
};

class TopK {
public:
    explicit TopK(int64_t k) : k_(size_t(k)) { found_.reserve(k_); }

    int64_t size() const { return int64_t(k_); }

    bool full() const { return found_.size() == k_; }

    // The score an item must reach; an item that equals it may still win by its id.
    float threshold() const {
        return full() ? found_.front().score : -std::numeric_limits<float>::infinity();
    }

    bool admits(Found item) const { return !full() || item < found_.front(); }

    void add(Found item) {
        if (full()) {
            std::pop_heap(found_.begin(), found_.end());  // the worst is in front
            found_.back() = item;
        } else {
            found_.push_back(item);
        }
        std::push_heap(found_.begin(), found_.end());
    }

    // Writes k ids and scores, best first; -1 and -inf where candidates ran out.
    void write(int64_t* ids, float* scores) {
        std::sort_heap(found_.begin(), found_.end());
        for (size_t i = 0; i < k_; ++i) {
            const bool has = i < found_.size();
            ids[i] = has ? int64_t(found_[i].id) : -1;
            scores[i] = has ? found_[i].score : -std::numeric_limits<float>::infinity();
        }
    }

private:
    size_t k_;
    std::vector<Found> found_;
};

}  // namespace urecjpq
