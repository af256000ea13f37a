// Many series at once and as they come: the same bits; all or nothing; states that are kept, damaged, made up.
#include "surgetank/spikes_stream.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "refusal.hpp"

namespace surgetank {
namespace {

constexpr SpikeOutputs everything{true, true, true, true, true};
constexpr AdaptiveOptions hourly{.threshold = 1, .both = true, .step_s = 3600};

Eigen::ArrayXXd noise(Index rows, Index cols) {
    std::mt19937_64 random(4);
    std::lognormal_distribution<double> value;
    Eigen::ArrayXXd x(rows, cols);
    for (double& u : x.reshaped()) u = random() % 10 == 0 ? nan : value(random);
    for (Index j = 0; j < cols; ++j) x(rows - 20 - j, j) = 1e4;
    return x;
}

bool same_bits(const Eigen::ArrayXXd& a, const Eigen::ArrayXXd& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           std::memcmp(a.data(), b.data(), sizeof(double) * static_cast<std::size_t>(a.size())) == 0;
}

void expect_rows(const Spikes& part, const Spikes& whole, Index first) {
    const Index n = part.scores.rows();
    EXPECT_TRUE(same_bits(part.scores, whole.scores.middleRows(first, n)));
    EXPECT_TRUE(same_bits(part.likelihood, whole.likelihood.middleRows(first, n)));
    EXPECT_TRUE(same_bits(part.ratios, whole.ratios.middleRows(first, n)));
    EXPECT_TRUE((part.flags == whole.flags.middleRows(first, n)).all());
}

// 1,300 rows: more than twice what is gathered of a series at a time. 19 series: two groups of eight, and three.
TEST(Stream, ChunksGiveTheBitsOfOneCall) {
    const Eigen::ArrayXXd x = noise(1300, 19);
    const Spikes whole = adaptive(x, hourly, everything);
    ASSERT_TRUE((whole.count > 0).all());
    for (const Index threads : {1, 3}) {
        AdaptiveStream stream(hourly, 19);
        Eigen::Array<Index, Eigen::Dynamic, 1> count = decltype(count)::Zero(19);
        for (Index first = 0, n = 1; first < x.rows(); first += n, n = std::min<Index>(n * 3, x.rows() - first)) {
            const Spikes part = stream.update(x.middleRows(first, n), everything, threads);
            expect_rows(part, whole, first);
            count += part.count;
            stream = AdaptiveStream::restore(stream.save());
        }
        EXPECT_TRUE((count == whole.count).all());
        EXPECT_EQ(stream.samples(), 1300);
    }
}

TEST(Adaptive, EveryLayoutGivesTheSameBits) {
    const Eigen::ArrayXXd x = noise(600, 11);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(rows.data(), 600, 11, Strides(1, 11));
    const Spikes expected = adaptive(x, hourly, everything), found = adaptive(row_major, hourly, everything);
    expect_rows(found, expected, 0);
    EXPECT_TRUE(same_bits(found.p95_ratio, expected.p95_ratio));
    EXPECT_EQ(found.episodes.size(), expected.episodes.size());
}

TEST(Adaptive, OutputsNotAskedForStayEmpty) {
    const Spikes s = adaptive(noise(100, 3), hourly, {});
    EXPECT_EQ(s.flags.size() + s.scores.size() + s.likelihood.size() + s.ratios.size(), 0);
    EXPECT_TRUE(s.episodes.empty());
    EXPECT_GT(s.count.sum(), 0);
}

TEST(Adaptive, EpisodesAreRunsOfFlags) {
    const Spikes s = adaptive(noise(400, 3), hourly, everything);
    Index flagged = 0, before = -1;
    for (const Episode& e : s.episodes) {
        EXPECT_TRUE(s.flags.col(e.series).segment(e.start, e.end - e.start).all());
        EXPECT_FALSE(e.start > 0 && s.flags(e.start - 1, e.series));
        EXPECT_FALSE(e.end < 400 && s.flags(e.end, e.series));
        EXPECT_LT(before, e.series * 400 + e.start);
        before = e.series * 400 + e.start;
        flagged += e.end - e.start;
    }
    EXPECT_EQ(flagged, s.count.sum());
}

TEST(Stream, RefusesWithTheWholeMessageAndStaysAsItWas) {
    AdaptiveStream stream(hourly, 9);
    stream.update(noise(100, 9), {});
    const std::string before = stream.save();
    Eigen::ArrayXXd x = noise(700, 9);
    x(699, 8) = -inf;
    const auto update = [&](const Eigen::ArrayXXd& usage, Index threads = 1) {
        return refusal([&] { stream.update(usage, everything, threads); });
    };
    EXPECT_EQ(update(x), "usage: must be finite, or NaN where not observed (got -inf)");
    EXPECT_EQ(update(x, 4), "usage: must be finite, or NaN where not observed (got -inf)");
    EXPECT_EQ(update(noise(50, 8)), "usage: must have the stream's 9 series (got 8)");
    EXPECT_EQ(update(Eigen::ArrayXXd(0, 9)), "usage: must hold at least one sample (got shape (0, 9))");
    EXPECT_EQ(update(noise(50, 9), -1), "threads: must be 0 (all of the machine's) or more (got -1)");
    EXPECT_EQ(stream.save(), before);
    EXPECT_EQ(stream.samples(), 100);
}

struct Stop {};

TEST(Stream, APollMayAbandonTheUpdateWhichThenWasNone) {
    AdaptiveStream stream(hourly, 20);
    stream.update(noise(100, 20), {});
    const std::string before = stream.save();
    int polls = 0;
    const auto stop = [&] {
        if (++polls == 3) throw Stop{};
    };
    EXPECT_THROW(stream.update(noise(700, 20), {}, 1, stop), Stop);
    EXPECT_EQ(stream.save(), before);
}

TEST(Stream, RefusesWhatItCannotBe) {
    EXPECT_EQ(refusal([] { AdaptiveStream(hourly, 0); }), "series: must be 1 or more (got 0)");
    EXPECT_EQ(refusal([] { AdaptiveStream({.threshold = nan}, 1); }),
              "threshold: must be a positive finite number (got nan)");
    EXPECT_EQ(refusal([] { adaptive(noise(50, 1), {.step_s = 0}, {}); }),
              "step_s: must be a positive number of seconds (got 0)");
}

std::string kept(Index series = 2) {
    AdaptiveStream stream({.threshold = 2.5, .both = false, .step_s = 3600}, series);
    stream.update(noise(200, series), {});
    return stream.save();
}

std::string restoring(const std::string& bytes) {
    return refusal([&] { AdaptiveStream::restore(bytes); });
}

// The checksum, as written in spikes_stream.cpp, so that damage gets past it.
std::string sealed(std::string body) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char byte : body) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    for (int i = 0; i < 8; ++i) body += static_cast<char>(hash >> 8 * i & 0xff);
    return body;
}

std::string body_of(const std::string& bytes) { return bytes.substr(0, bytes.size() - 8); }

TEST(State, KeepsEverything) {
    const std::string bytes = kept();
    const AdaptiveStream stream = AdaptiveStream::restore(bytes);
    EXPECT_EQ(stream.save(), bytes);
    EXPECT_EQ(stream.series(), 2);
    EXPECT_EQ(stream.samples(), 200);
    EXPECT_EQ(stream.options().threshold, 2.5);
    EXPECT_FALSE(stream.options().both);
    EXPECT_EQ(stream.options().step_s, 3600);
    EXPECT_EQ(AdaptiveStream::length(bytes.substr(0, AdaptiveStream::head_length)), bytes.size());
    EXPECT_EQ(sealed(body_of(bytes)), bytes);
}

TEST(State, DamageIsRefusedWithTheWholeMessage) {
    const std::string bytes = kept();
    EXPECT_EQ(restoring(""), "state: must be what SpikeStream.to_bytes() gave (got 0 other bytes)");
    EXPECT_EQ(restoring("surgetank spikes"), "state: must be what SpikeStream.to_bytes() gave (got 16 other bytes)");
    EXPECT_EQ(restoring(bytes.substr(0, 100)), fmt::format("state: must be whole (got 100 of {} bytes)", bytes.size()));
    EXPECT_EQ(restoring(bytes + "x"),
              fmt::format("state: must be whole (got {} of {} bytes)", bytes.size() + 1, bytes.size()));
    for (std::size_t place = 0; place < bytes.size(); place += place < 70 ? 1 : 101) {
        std::string damaged = bytes;
        damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
        EXPECT_EQ(restoring(damaged).rfind("state: ", 0), 0U) << place;
    }
    std::string other = bytes;
    other[16] = 2;
    EXPECT_EQ(restoring(other), "state: must be of version 1 (got 2)");
    other = bytes;
    other[1000] = static_cast<char>(other[1000] ^ 1);
    EXPECT_EQ(restoring(other), "state: must be whole and unchanged (got a checksum that does not match)");
    other = body_of(bytes);
    other.replace(other.size() - 24, 8, "\xff\xff\xff\xff\xff\xff\xff\x7f");  // the slot
    EXPECT_EQ(restoring(sealed(other)), "state: must be what SpikeStream.to_bytes() gave (got places outside of it)");
}

// With the sanitizers on: whatever is written there, and sealed, is refused or answered.
TEST(State, AnyBytesAreRefusedOrDoNoHarm) {
    const std::string body = body_of(kept(1));
    const Eigen::ArrayXXd x = noise(60, 1);
    std::mt19937_64 random(6);
    const std::string strange[] = {std::string("\0\0\0\0\0\0\xf0\x7f", 8), std::string("\1\0\0\0\0\0\xf8\xff", 8),
                                   std::string("\1\0\0\0\0\0\0\0", 8), std::string(8, '\xff'), std::string(8, '\0')};
    int taken = 0;
    for (int trial = 0; trial < 3000; ++trial) {
        std::string made_up = body;
        for (int change = 0; change <= trial % 4; ++change) {
            std::string number = strange[random() % std::size(strange)];
            if (random() % 2 == 0)
                for (char& byte : number) byte = static_cast<char>(random() & 0xff);
            const auto from = trial % 2 == 0 ? 24 : AdaptiveStream::head_length;
            made_up.replace(from + random() % (body.size() - from - 8), 8, number);
        }
        try {
            AdaptiveStream stream = AdaptiveStream::restore(sealed(made_up));
            ++taken;
            stream.update(x, everything);
            AdaptiveStream::restore(stream.save());
        } catch (const InvalidInput&) {
        }
    }
    EXPECT_GT(taken, 300);
    EXPECT_LT(taken, 2700);
}

}  // namespace
}  // namespace surgetank
