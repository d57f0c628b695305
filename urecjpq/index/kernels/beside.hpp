// Work that several threads share.
#pragma once

#include <system_error>
#include <thread>
#include <vector>

namespace urecjpq {

// Runs `work` here and on up to `helpers` more threads, until each has found nothing left to do.
template <class Work>
void run_beside(const Work& work, int helpers) {
    std::vector<std::thread> threads;
    try {
        for (int i = 0; i < helpers; ++i) threads.emplace_back(work);
    } catch (const std::system_error&) {
        // The system gives no more threads: those that there are do it all.
    }
    work();
    for (auto& thread : threads) thread.join();
}

}  // namespace urecjpq
