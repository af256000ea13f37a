// One loop on several threads: every job once, the earliest failure, and how the caller ends it.
#include "surgetank/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "refusal.hpp"

namespace surgetank {
namespace {

struct Stop {};
struct Failed {
    Index job;
};

// 0: as many as the machine has; 64: more than there are jobs in most of these tests.
class Threads : public testing::TestWithParam<Index> {};
INSTANTIATE_TEST_SUITE_P(Counts, Threads, testing::Values<Index>(0, 1, 2, 3, 8, 64));

TEST_P(Threads, EveryJobIsDoneOnceByAWorkerThatExists) {
    for (const Index jobs : {0, 1, 2, 7, 500}) {
        const Index workers = check_threads(GetParam(), jobs);
        std::vector<std::atomic<int>> done(static_cast<std::size_t>(jobs)), busy(static_cast<std::size_t>(workers));
        parallel(jobs, GetParam(), no_poll, [&](Index worker, Index job, const Poll& poll) {
            EXPECT_GE(worker, 0);
            ASSERT_LT(worker, workers);
            EXPECT_EQ(busy[static_cast<std::size_t>(worker)]++, 0);  // nobody else uses its scratch memory now
            ++done[static_cast<std::size_t>(job)];
            poll();
            --busy[static_cast<std::size_t>(worker)];
        });
        for (const auto& times : done) EXPECT_EQ(times, 1);
    }
}

TEST_P(Threads, WithoutAPollTheLoopRuns) {
    std::atomic<int> done{0};
    parallel(20, GetParam(), Poll(), [&](Index, Index, const Poll&) { ++done; });
    EXPECT_EQ(done, 20);
}

TEST_P(Threads, OfSeveralFailuresTheEarliestIsThrown) {
    for (int round = 0; round < 20; ++round) {
        try {
            parallel(200, GetParam(), no_poll, [](Index, Index job, const Poll&) {
                // The later ones fail at once, the earliest takes its time.
                if (job == 13) std::this_thread::sleep_for(std::chrono::milliseconds(2));
                if (job >= 13) throw Failed{job};
            });
            FAIL() << "nothing was thrown";
        } catch (const Failed& failure) {
            EXPECT_EQ(failure.job, 13);
        }
    }
}

TEST_P(Threads, AFailureEndsTheLoopEarly) {
    std::atomic<int> done{0};
    EXPECT_THROW(parallel(100'000, GetParam(), no_poll,
                          [&](Index, Index job, const Poll&) {
                              if (job == 0) throw Failed{job};
                              ++done;
                              std::this_thread::sleep_for(std::chrono::microseconds(1));
                          }),
                 Failed);
    EXPECT_LT(done, 100'000);
}

TEST_P(Threads, ThePollIsTheCallersAndEndsTheLoop) {
    const auto caller = std::this_thread::get_id();
    std::atomic<int> inside{0};
    int polls = 0;
    const Poll poll = [&] {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        if (++polls == 3) throw Stop{};
    };
    // More jobs than the others could end before the caller, which starts them all, gets to its own.
    EXPECT_THROW(parallel(1'000'000'000'000, GetParam(), poll,
                          [&](Index, Index, const Poll& own) {
                              ++inside;
                              // Leaving by an exception, too, counts it out.
                              struct Leave {
                                  std::atomic<int>& inside;
                                  ~Leave() { --inside; }
                              } leave{inside};
                              own();
                          }),
                 Stop);
    EXPECT_EQ(polls, 3);
    EXPECT_EQ(inside, 0);  // all have been waited for
}

// A job without end on every worker: only the poll that each is given can end it.
TEST_P(Threads, LongJobsAreEndedThroughTheirPoll) {
    int polls = 0;
    const Poll poll = [&] {
        if (++polls == 50) throw Stop{};
    };
    EXPECT_THROW(parallel(4, GetParam(), poll,
                          [](Index, Index, const Poll& own) {
                              for (;;) {
                                  own();
                                  std::this_thread::yield();
                              }
                          }),
                 Stop);
}

// The caller's own jobs are done, another's goes on: Ctrl-C must still end the loop.
TEST(Parallel, TheCallerPollsWhileItWaits) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const auto after = [&](int ms) { return Clock::now() - start > std::chrono::milliseconds(ms); };
    const Poll poll = [&] {
        if (after(100)) throw Stop{};
    };
    EXPECT_THROW(parallel(2, 2, poll,
                          [&](Index worker, Index, const Poll& own) {
                              while (worker == 1 && !after(3000)) own();
                              // Until the other one has its job, this one must not take it.
                              while (worker == 0 && !after(50)) std::this_thread::yield();
                          }),
                 Stop);
    EXPECT_FALSE(after(1000));
}

// Where others have failed before the caller's first poll, there is no poll any more.
TEST_P(Threads, ThePollsFailureComesBeforeAJobs) {
    bool polled = false;
    const Poll poll = [&] {
        polled = true;
        throw Stop{};
    };
    try {
        parallel(100, GetParam(), poll, [](Index, Index job, const Poll&) { throw Failed{job}; });
        FAIL() << "nothing was thrown";
    } catch (const Stop&) {
        EXPECT_TRUE(polled);
    } catch (const Failed& failure) {
        EXPECT_FALSE(polled);
        EXPECT_EQ(failure.job, 0);
    }
}

TEST_P(Threads, LoopsMayRunWithinLoops) {
    std::atomic<int> done{0};
    parallel(5, GetParam(), no_poll,
             [&](Index, Index, const Poll& poll) { parallel(5, 2, poll, [&](Index, Index, const Poll&) { ++done; }); });
    EXPECT_EQ(done, 25);
}

TEST(CheckThreads, NoMoreThanThereAreJobs) {
    EXPECT_EQ(check_threads(1, 10), 1);
    EXPECT_EQ(check_threads(3, 10), 3);
    EXPECT_EQ(check_threads(30, 10), 10);
    EXPECT_EQ(check_threads(30, 0), 1);
    EXPECT_GE(check_threads(0, 10), 1);
    EXPECT_EQ(check_threads(0, 1), 1);
    EXPECT_EQ(refusal([] { check_threads(-1, 10); }), "threads: must be 0 (all of the machine's) or more (got -1)");
    EXPECT_EQ(refusal([] { parallel(3, -1, no_poll, [](Index, Index, const Poll&) { FAIL(); }); }),
              "threads: must be 0 (all of the machine's) or more (got -1)");
}

}  // namespace
}  // namespace surgetank
