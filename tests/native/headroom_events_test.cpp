// The quantile headroom rule across quotas: what is not known, joint fits, intervals, what holds for every plan.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <random>

#include "quantile_call.hpp"

namespace surgetank {
namespace {

TEST(QuantileUnknown, ASourceWithoutUsage) {
    auto pair = constant({nan, 60}, 100);
    pair.events = {fails(0, 1)};
    const auto h = pair();
    EXPECT_EQ(h.unknown[0], Unknown::no_usage);
    EXPECT_EQ(h.status[0], Status::unknown);
    EXPECT_EQ(h.event[0], -1);
    EXPECT_EQ(h.unknown[1], Unknown::no_source);
    EXPECT_EQ(h.status[1], Status::unknown);
    EXPECT_EQ(h.needed(1), 0);  // what is known
    EXPECT_TRUE(std::isnan(at(h, 1, 1).need));
    pair.quotas.quota << 100, 50;
    EXPECT_EQ(pair().status[1], Status::critical);  // too much without the unknown load
    EXPECT_EQ(pair().unknown[1], Unknown::no_source);
}

// A Region that has none of this quota sends none of it; only a source that should have some is unknown.
TEST(QuantileUnknown, ASourceThatIsNotInTheGroupSendsNothing) {
    auto pair = constant({60, 60}, 100);
    pair.quotas.group << 0, 1;
    pair.events = {fails(0, 1)};
    EXPECT_EQ(pair().unknown[1], Unknown::none);
    EXPECT_EQ(pair().status[1], Status::ok);
}

TEST(QuantileUnknown, SamplesThatNeverCoincide) {
    auto pair = constant({60, 60}, 100);
    for (Index t = 0; t < 48; ++t) pair.usage(t, t % 2) = nan;
    pair.events = {fails(0, 1)};
    const auto h = pair();
    EXPECT_EQ(at(h, 1, 1).samples, 0);
    EXPECT_TRUE(std::isnan(at(h, 1, 1).need));
    EXPECT_EQ(h.unknown[1], Unknown::no_source);
    EXPECT_EQ(h.status[1], Status::unknown);
}

TEST(QuantileUnknown, StaleUsageIsUnknownAndNoSource) {
    auto pair = constant({60, 60});
    pair.usage.col(0).tail(13) = nan;  // 13 steps are longer than 12
    pair.events = {fails(0, 1)};
    const auto h = pair();
    EXPECT_EQ(h.unknown[0], Unknown::stale);
    EXPECT_EQ(h.usage(0), 60);
    EXPECT_EQ(h.age_s(0), 13 * 3600);
    EXPECT_TRUE(std::isnan(h.needed(0)));
    EXPECT_EQ(h.unknown[1], Unknown::no_source);
    pair.clock.stale_after_s = 13 * 3600;
    EXPECT_EQ(pair().unknown[0], Unknown::none);
    EXPECT_EQ(pair().needed(1), 60);
}

TEST(QuantileUnknown, WithoutAQuotaTheNeedIsStillKnown) {
    auto pair = constant({60, 60});
    pair.quotas.quota << 1000, nan;
    pair.events = {fails(0, 1)};
    const auto h = pair();
    EXPECT_EQ(h.unknown[1], Unknown::no_quota);
    EXPECT_EQ(h.status[1], Status::unknown);
    EXPECT_EQ(h.needed(1), 60);
    for (const auto* column : {&h.available, &h.shortfall, &h.required, &h.probability_enough, &h.ask_in_s})
        EXPECT_TRUE(std::isnan((*column)(1)));
    EXPECT_EQ(h.joint[0].quotas, 0);
}

// Two hours' windows; 1 carries 0 as well, 2 only itself. Quota 60 throughout.
Call small() {
    Eigen::ArrayXXd usage(6, 3);
    usage.col(0) << 10, 10, 50, 10, 10, 10;
    usage.col(1).setConstant(20);
    usage.col(2) << 10, 10, 10, 10, 10, 90;
    Call call(usage, 60);
    call.events = {{7200, {0}, {{0, 1, 1}}}};
    return call;
}

TEST(Joint, HandWorked) {
    const auto h = small()();
    const JointFit& joint = h.joint[0];
    EXPECT_EQ(joint.quotas, 2);
    EXPECT_EQ(joint.moments, 5);
    EXPECT_EQ(joint.fits, 2);  // windows that start at 1 and 2 hold the 70 of Region 1, at 4 the 90 of Region 2
    EXPECT_EQ(joint.risk_bound, std::min(1.0, at(h, 1, 1).risk + at(h, 2, 0).risk));
    auto grown = small();
    grown.options.growth = 2.5;  // 2.5 × 30 does not fit
    EXPECT_EQ(grown().joint[0].fits, 0);
}

TEST(Joint, AWindowHalfUnobservedIsNoMoment) {
    auto gaps = small();
    gaps.usage(0, 0) = nan;  // the window at 0 is half observed
    EXPECT_EQ(gaps().joint[0].moments, 5);
    EXPECT_EQ(gaps().joint[0].fits, 2);
    gaps.usage(1, 1) = nan;  // aligned, nothing of it is observed
    EXPECT_EQ(gaps().joint[0].moments, 4);
    EXPECT_EQ(gaps().joint[0].fits, 1);
    auto own = small();
    own.usage.col(2).head(2) = nan;
    EXPECT_EQ(own().joint[0].moments, 4);
    EXPECT_EQ(own().joint[0].fits, 1);
}

TEST(Joint, WhatIsNotKnownIsNotCovered) {
    auto some = small();
    some.usage.col(2) = nan;
    EXPECT_EQ(some().joint[0].quotas, 1);
    EXPECT_EQ(some().joint[0].fits, 3);
    some.usage.col(0) = nan;  // what lands on 1 is not known: to say that it fits would be a guess
    EXPECT_EQ(some().joint[0].quotas, 0);
    EXPECT_EQ(some().joint[0].moments, 0);
}

TEST(Joint, AWindowLongerThanTheHistoryHasNoMoments) {
    auto brief = small();
    brief.events[0].duration_s = 7 * 3600;
    EXPECT_EQ(brief().joint[0].moments, 0);
    EXPECT_EQ(brief().joint[0].quotas, 2);
    brief.events[0].duration_s = 7200;
    brief.options.history_s = 3 * 3600;  // the newest three: 1 fits at both, 2 at the first
    EXPECT_EQ(brief().joint[0].moments, 2);
    EXPECT_EQ(brief().joint[0].fits, 1);
}

// Groups of Regions 0 … 2, busy with a daily wave, noise and gaps.
Call busy(Index groups, Index samples = 24 * 20, double missing = 0.02) {
    std::mt19937_64 random(3);
    std::exponential_distribution<double> noise;
    std::uniform_real_distribution<double> uniform;
    Eigen::ArrayXXd usage(samples, 3 * groups);
    for (Index i = 0; i < usage.cols(); ++i)
        for (Index t = 0; t < samples; ++t) {
            const double phase = 2 * std::numbers::pi * static_cast<double>(t + 5 * i) / 24;
            usage(t, i) = uniform(random) < missing ? nan : 100 + 30 * std::sin(phase) + 4 * noise(random);
        }
    Call call(usage, 350);
    for (Index i = 0; i < usage.cols(); ++i) {
        call.quotas.region(i) = i % 3;
        call.quotas.group(i) = i / 3;
    }
    call.clock.stale_after_s = day_s;
    call.options.growth = nan;
    call.events = {{day_s, {0}, {{0, 1, 0.5}, {0, 2, 0.5}}}, {4 * 3600, {}, {{2, 2, 1}}}, fails(1, 0)};
    return call;
}

bool same_bits(const Eigen::ArrayXd& a, const Eigen::ArrayXd& b) {
    return a.size() == b.size() &&
           std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}

void expect_same(const QuantileHeadroom& a, const QuantileHeadroom& b) {
    for (const auto column : {&QuantileHeadroom::need, &QuantileHeadroom::needed_low, &QuantileHeadroom::needed_high,
                              &QuantileHeadroom::growth, &QuantileHeadroom::n_eff,
                              &QuantileHeadroom::probability_enough, &QuantileHeadroom::probability_enough_low,
                              &QuantileHeadroom::probability_enough_high, &QuantileHeadroom::ask_in_s})
        EXPECT_TRUE(same_bits(a.*column, b.*column));
    for (const auto column : {&Headroom::usage, &Headroom::needed, &Headroom::required, &Headroom::day_utilization})
        EXPECT_TRUE(same_bits(a.*column, b.*column));
    EXPECT_EQ(a.status, b.status);
    EXPECT_EQ(a.event, b.event);
    ASSERT_EQ(a.events.size(), b.events.size());
    EXPECT_EQ(std::memcmp(a.events.data(), b.events.data(), a.events.size() * sizeof(EventNeed)), 0);
    EXPECT_EQ(std::memcmp(a.joint.data(), b.joint.data(), a.joint.size() * sizeof(JointFit)), 0);
}

TEST(QuantileHeadroom, EveryLayoutGivesTheSameBits) {
    const Call columns = busy(13);  // 39 columns: more than are gathered at once
    const Index t = columns.usage.rows(), n = columns.usage.cols();
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = columns.usage;
    Eigen::ArrayXXd wide = Eigen::ArrayXXd::Constant(2 * t, 3 * n, nan);
    const Eigen::Map<Eigen::ArrayXXd, 0, Strides> strided(wide.data(), t, n, Strides(3 * 2 * t, 2));
    Eigen::Map<Eigen::ArrayXXd, 0, Strides>(wide.data(), t, n, Strides(3 * 2 * t, 2)) = columns.usage;
    const auto h = columns();
    const auto of = [&](const Samples& usage) {
        return quantile_headroom(usage, columns.clock, columns.quotas, columns.events, columns.options);
    };
    expect_same(h, of(Eigen::Map<const Eigen::ArrayXXd, 0, Strides>(rows.data(), t, n, Strides(1, n))));
    expect_same(h, of(strided));
}

// Columns in another order, Regions and groups under other numbers: the same answers, permuted.
TEST(QuantileHeadroom, PermutingQuotasPermutesTheAnswer) {
    const Call call = busy(4);
    const Index n = call.usage.cols();
    Call other = call;
    const auto to = [&](Index i) { return (5 * i + 3) % n; };
    const auto renumbered = [](Index region) { return 2 - region; };
    for (Index i = 0; i < n; ++i) {
        other.usage.col(to(i)) = call.usage.col(i);
        other.quotas.region(to(i)) = renumbered(call.quotas.region(i));
        other.quotas.group(to(i)) = 7 * (3 - call.quotas.group(i));  // numbers may have holes
    }
    for (Event& event : other.events) {
        for (Index& region : event.failed) region = renumbered(region);
        for (Flow& flow : event.flows) flow = {renumbered(flow.from), renumbered(flow.to), flow.weight};
    }
    const auto a = call(), b = other();
    for (Index i = 0; i < n; ++i) {
        EXPECT_EQ(a.needed(i), b.needed(to(i)));
        EXPECT_EQ(a.probability_enough(i), b.probability_enough(to(i)));
        EXPECT_EQ(std::memcmp(&at(a, i, 0), &at(b, to(i), 0), 4 * sizeof(EventNeed)), 0);
        EXPECT_EQ(a.event[static_cast<std::size_t>(i)], b.event[static_cast<std::size_t>(to(i))]);
    }
    for (std::size_t e = 0; e < 3; ++e) {
        EXPECT_EQ(a.joint[e].fits, b.joint[e].fits);
        EXPECT_EQ(a.joint[e].moments, b.joint[e].moments);
        EXPECT_NEAR(a.joint[e].risk_bound, b.joint[e].risk_bound, 1e-12);
    }
}

TEST(QuantileHeadroom, IntervalsHoldWhatTheyBelongTo) {
    for (const double risk : {1e-3, 0.05, 0.6}) {
        Call call = busy(3);
        call.options.risk = risk;
        const auto h = call();
        for (Index i = 0; i < h.needed.size(); ++i) {
            EXPECT_LE(h.needed_low(i), h.needed(i));
            EXPECT_GE(h.needed_high(i), h.needed(i));
            EXPECT_LE(h.probability_enough_low(i), h.probability_enough(i));
            EXPECT_GE(h.probability_enough_high(i), h.probability_enough(i));
            const bool fits = h.need(i) <= call.quotas.quota(i);
            EXPECT_EQ(h.probability_enough(i) >= 1 - risk, fits) << "quota " << i << " risk " << risk;
            EXPECT_EQ(h.shortfall(i) > 0, !fits);
            double worst = 0;
            for (std::size_t e = 0; e <= call.events.size(); ++e)
                if (!std::isnan(at(h, i, e).risk)) worst = std::max(worst, at(h, i, e).risk);
            EXPECT_EQ(h.probability_enough(i), 1 - worst);
        }
    }
    Call none = busy(1);
    none.options.confidence = 0;
    const auto h = none();
    for (const auto* column : {&h.needed_low, &h.needed_high, &h.probability_enough_low, &h.probability_enough_high})
        EXPECT_TRUE(column->isNaN().all());
    EXPECT_EQ(h.needed(0), busy(1)().needed(0));
}

// model.md 3.2, "what holds and is tested".
TEST(QuantileHeadroom, ScalingAllLoadScalesTheNeed) {
    const Call call = busy(2);
    Call scaled = call;
    scaled.usage *= 3.7;
    const auto a = call(), b = scaled();
    for (Index i = 0; i < a.need.size(); ++i) {
        EXPECT_NEAR(b.need(i) / 3.7 / a.need(i), 1, 1e-9);
        EXPECT_NEAR(b.needed_high(i) + b.usage(i), 3.7 * (a.needed_high(i) + a.usage(i)), 1e-6);
    }
}

TEST(QuantileHeadroom, MoreShareNeverNeedsLessWhenCounted) {
    Eigen::ArrayXd before = Eigen::ArrayXd::Zero(6), shortfall = Eigen::ArrayXd::Constant(6, inf);
    for (const double weight : {0.0, 0.1, 0.5, 0.9, 1.0, 2.5}) {
        Call call = busy(2);
        call.options.growth = 1.2;
        call.options.fitted = false;
        call.events = {{day_s, {0}, {{0, 1, weight}, {0, 2, weight / 2}}}, {3600, {}, {{0, 0, weight}}}};
        const auto h = call();
        EXPECT_TRUE((h.need >= before).all()) << "weight " << weight;
        before = h.need;
    }
    for (const double quota : {0.0, 100.0, 200.0, 250.0, 300.0, 1e9}) {
        Call call = busy(2);
        call.quotas.quota.setConstant(quota);
        const auto h = call();
        EXPECT_TRUE((h.shortfall <= shortfall).all()) << "quota " << quota;
        shortfall = h.shortfall;
    }
    EXPECT_TRUE((shortfall == 0).all());
}

struct Stop {};

TEST(QuantileHeadroom, PollMayAbandonTheCall) {
    const Call many = constant(std::vector<double>(40, 1.0));
    int polls = 0;
    EXPECT_THROW(many([&] {
                     if (++polls == 3) throw Stop{};
                 }),
                 Stop);
    EXPECT_EQ(polls, 3);
    EXPECT_NO_THROW(many(Poll{}));
}

}  // namespace
}  // namespace surgetank
