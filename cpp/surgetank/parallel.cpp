#include "surgetank/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace surgetank {
namespace {

struct Abandoned {};

class Loop {
public:
    Loop(Index jobs, const std::function<void(Index, Index, const Poll&)>& work) : work_(work), failed_at_(jobs) {}

    void run(Index worker, const Poll& poll) {
        take_jobs(worker, poll);
        const std::lock_guard lock(mutex_);
        ++ended_;
        ended_now_.notify_all();
    }

    /// Returns true when all workers have ended, false after a tenth of a second.
    bool wait(Index workers) {
        std::unique_lock lock(mutex_);
        return ended_now_.wait_for(lock, std::chrono::milliseconds(100), [&] { return ended_ == workers; });
    }

    void abandon() { abandoned_ = true; }
    void stop_if_abandoned() const {
        if (abandoned_) throw Abandoned();
    }
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void take_jobs(Index worker, const Poll& poll) {
        for (Index job = next_++; job < failed_at_; job = next_++) {
            try {
                if (poll) poll();
                work_(worker, job, poll);
            } catch (const Abandoned&) {
                return;
            } catch (...) {
                // Earlier jobs have all been taken, and run to their end: one of them may fail, too.
                const std::lock_guard lock(mutex_);
                if (job < failed_at_) {
                    failed_at_ = job;
                    failure_ = std::current_exception();
                }
            }
        }
    }

    const std::function<void(Index, Index, const Poll&)>& work_;
    std::atomic<Index> next_{0};
    std::atomic<Index> failed_at_;
    std::atomic<bool> abandoned_{false};
    std::mutex mutex_;
    std::condition_variable ended_now_;
    Index ended_ = 0;
    std::exception_ptr failure_;
};

}  // namespace

Index check_threads(Index threads, Index jobs) {
    require(threads >= 0, "threads", "must be 0 (all of the machine's) or more", threads);
    if (threads == 0) threads = static_cast<Index>(std::max(1u, std::thread::hardware_concurrency()));
    return std::clamp<Index>(threads, 1, std::max<Index>(jobs, 1));
}

void parallel(Index jobs, Index threads, const Poll& poll,
              const std::function<void(Index worker, Index job, const Poll& poll)>& work) {
    Loop loop(jobs, work);
    std::exception_ptr interrupted;
    const Poll own = [&] {
        if (!poll) return;
        try {
            poll();
        } catch (...) {  // whatever the caller's poll throws comes before any job's failure
            interrupted = std::current_exception();
            loop.abandon();
            throw Abandoned();
        }
    };
    std::vector<std::thread> others;
    const Index wanted = check_threads(threads, jobs);
    others.reserve(static_cast<std::size_t>(wanted));
    for (Index worker = 1; worker < wanted; ++worker) {
        try {
            others.emplace_back([&loop, worker] { loop.run(worker, [&loop] { loop.stop_if_abandoned(); }); });
        } catch (const std::exception&) {
            break;  // no more threads to be had: those there are do the work
        }
    }
    loop.run(0, own);
    while (!loop.wait(static_cast<Index>(others.size()) + 1)) {
        try {
            own();  // the others may have long to go
        } catch (const Abandoned&) {
            break;
        }
    }
    for (auto& other : others) other.join();
    if (interrupted) std::rethrow_exception(interrupted);
    loop.rethrow();
}

}  // namespace surgetank
