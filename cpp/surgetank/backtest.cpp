#include "surgetank/backtest.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "surgetank/backtest_ledger.hpp"
#include "surgetank/backtest_rules.hpp"
#include "surgetank/parallel.hpp"
#include "surgetank/series.hpp"
#include "surgetank/series_peaks.hpp"

namespace surgetank::backtest {
namespace {

constexpr std::size_t rules_between_polls = 4096;

// Everything that one thread needs for one series.
struct Worker {
    Demand demand;
    Books books;
    Rows rows;
    Path path;
    std::vector<Piece> pieces;
    Total total;
    ByBlock by_block;
    std::vector<BlockTally> blocks;
};

bool is_duration(double seconds) { return std::isfinite(seconds) && seconds > 0; }

void check(const World& world) {
    const Index n = world.usage.cols();
    require(world.usage.rows() > 0 && n > 0, "usage", "must hold at least one sample",
            fmt::format("{} × {}", world.usage.rows(), n));
    require(world.usage.rows() < (Index{1} << 31) - 64, "usage", "must have fewer than 2³¹ samples",
            world.usage.rows());
    require(world.quotas.quota.size() == n && world.quotas.region.size() == n && world.quotas.group.size() == n,
            "quota", fmt::format("must have one value per series, {}", n), world.quotas.quota.size());
    require((world.quotas.region >= 0).all(), "region", "must be 0 or more", world.quotas.region.minCoeff());
    require((world.quotas.group >= 0).all(), "group", "must be 0 or more", world.quotas.group.minCoeff());
    for (const double quota : world.quotas.quota)
        require(!(quota < 0) && !std::isinf(quota), "quota", "must be finite and 0 or more, or NaN", quota);
}

// The days of UTC that samples lie in.
struct DaysOf {
    std::vector<std::int32_t> end;
    std::vector<std::uint64_t> last;

    Days days() const { return {end.data(), last.data()}; }
};

DaysOf days_of(const Calendar& calendar, Index samples) {
    const auto day = [&](Index t) {
        return std::floor((calendar.offset_s + static_cast<double>(t) * calendar.step_s) / day_s);
    };
    const auto count = static_cast<std::size_t>(samples);
    DaysOf out{std::vector<std::int32_t>(count), std::vector<std::uint64_t>(count / in_block + 1)};
    for (Index t = samples, end = samples; t-- > 0;) {
        if (t + 1 < samples && day(t) != day(t + 1)) end = t + 1;
        out.end[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(end);
        if (end == t + 1) out.last[static_cast<std::size_t>(t / in_block)] |= std::uint64_t{1} << (t % in_block);
    }
    return out;
}

Result blank(Index rules, Index series) {
    Result out;
    for (auto* sums : {&out.own_short_sum, &out.idle_sum, &out.short_sum, &out.spare_sum, &out.max_short, &out.tail_sum,
                       &out.quota_sum, &out.last_quota})
        sums->resize(rules, series);
    for (auto* counts :
         {&out.samples, &out.own_short, &out.moments, &out.fails, &out.failed_days, &out.requests, &out.reversals})
        counts->resize(rules, series);
    return out;
}

void put(Result& out, Index p, Index i, const Tally& from) {
    // What is finite in this sum is finite in all.
    if (!std::isfinite(from.quota_sum + from.idle_sum + from.spare_sum + from.short_sum + from.own_short_sum))
        throw NumericalFailure(fmt::format("usage: sums over series {} exceed double", i));
    out.own_short_sum(p, i) = from.own_short_sum;
    out.idle_sum(p, i) = from.idle_sum;
    out.short_sum(p, i) = from.short_sum;
    out.spare_sum(p, i) = from.spare_sum;
    out.max_short(p, i) = from.max_short;
    out.tail_sum(p, i) = from.tail_sum;
    out.quota_sum(p, i) = from.quota_sum;
    out.last_quota(p, i) = from.last_quota;
    const auto count = [](Index n) { return static_cast<std::int32_t>(n); };
    out.samples(p, i) = count(from.samples);
    out.own_short(p, i) = count(from.own_short);
    out.moments(p, i) = count(from.moments);
    out.fails(p, i) = count(from.fails);
    out.failed_days(p, i) = count(from.failed_days);
    out.requests(p, i) = count(from.requests);
    out.reversals(p, i) = count(from.reversals);
}

Blocks blank(Index rules, Index series, Index count) {
    Blocks out;
    out.count = count;
    for (auto* sums : {&out.idle_sum, &out.short_sum, &out.own_short_sum}) sums->resize(rules, series * count);
    for (auto* counts : {&out.samples, &out.moments, &out.fails, &out.requests}) counts->resize(rules, series * count);
    return out;
}

void put(Blocks& out, Index p, Index i, std::span<const BlockTally> from) {
    Index column = i * out.count;
    for (const BlockTally& one : from) {
        if (!std::isfinite(one.idle_sum + one.short_sum + one.own_short_sum))
            throw NumericalFailure(fmt::format("usage: sums over series {} exceed double", i));
        out.idle_sum(p, column) = one.idle_sum;
        out.short_sum(p, column) = one.short_sum;
        out.own_short_sum(p, column) = one.own_short_sum;
        const auto count = [](Index n) { return static_cast<std::int32_t>(n); };
        out.samples(p, column) = count(one.samples);
        out.moments(p, column) = count(one.moments);
        out.fails(p, column) = count(one.fails);
        out.requests(p, column) = count(one.requests);
        ++column;
    }
}

// What a series came to goes into the result, in total …
struct IntoTotals {
    Result& out;
    double cvar_frac;

    void begin(Worker& worker) const { worker.total.of(worker.books, cvar_frac); }
    void operator()(Worker& worker, Index i, Index p, const Trail& trail) const { put(out, p, i, worker.total(trail)); }
};

// … or by blocks.
struct IntoBlocks {
    Blocks& out;
    Index first, block;

    void begin(Worker& worker) const {
        worker.by_block.of(worker.books, first, block);
        worker.blocks.resize(static_cast<std::size_t>(out.count));
    }
    void operator()(Worker& worker, Index i, Index p, const Trail& trail) const {
        worker.by_block(trail.pieces, worker.blocks);
        put(out, p, i, worker.blocks);
    }
};

// The quotas themselves, of a single rule.
struct IntoQuotas {
    Eigen::ArrayXXd& out;

    void begin(Worker&) const {}
    void operator()(Worker&, Index i, Index, const Trail& trail) const {
        out.col(i).setConstant(nan);
        for (const Piece& piece : trail.pieces) out.col(i).segment(piece.from, piece.end - piece.from) = piece.quota;
    }
};

// One call: what all series share.
struct Call {
    const World& world;
    const Calendar& calendar;
    Index threads;
    const Poll& poll;
    std::vector<std::vector<Load>> loads;
    DaysOf days;
    std::vector<Worker> workers;

    Call(const World& w, const Calendar& c, Index asked, const Poll& p) : world(w), calendar(c), poll(p) {
        check(world);
        backtest::check(calendar, world.usage.rows());
        threads = check_threads(asked, world.usage.cols());
        loads = loads_of(world.quotas, world.events, calendar.step_s);
        check_what_lands();
        days = days_of(calendar, world.usage.rows());
        workers.resize(static_cast<std::size_t>(threads));
    }

    /// Calls work(worker, series, poll) with the series' demand, and its books.
    template <class Work>
    void each_series(bool of_demand, const Work& work) {
        parallel(world.usage.cols(), threads, poll, [&](Index number, Index i, const Poll& own_poll) {
            Worker& worker = workers[static_cast<std::size_t>(number)];
            worker.demand.of(world.usage, i, loads[static_cast<std::size_t>(i)], of_demand,
                             worker.rows.spare(world.usage.rows()));
            work(worker, i, own_poll);
        });
    }

    // A job checks its own column; what others bring must be sound before it is added.
    void check_what_lands() const {
        std::vector<bool> lands(static_cast<std::size_t>(world.usage.cols()));
        for (const auto& of_one : loads)
            for (const Load& load : of_one)
                for (const auto& part : load.events)
                    for (const auto& [from, weight] : part.landing) lands[static_cast<std::size_t>(from)] = true;
        if (std::find(lands.begin(), lands.end(), true) == lands.end()) return;
        series::for_each_series(world.usage, poll, [&](Index i, std::span<const double> x) {
            if (lands[static_cast<std::size_t>(i)]) headroom::check_samples(x);
        });
    }

    Ahead ahead(const Decisions& decisions, Index series) const {
        Index length = 1;
        for (const Load& load : loads[static_cast<std::size_t>(series)]) length = std::max(length, load.length);
        return {series::window_length(day_s, calendar.step_s),
                decisions.first,
                decisions.every,
                decisions.lead,
                decisions.hop() * decisions.every,
                length};
    }

    /// Judges every rule: sink.begin(worker) for a series, then sink(worker, series, p, trail).
    template <class Sink>
    void each_rule(const Sight& sight, const std::vector<Rule>& rules, const Sink& sink) {
        const Decisions decisions(calendar, world.usage.rows());
        check(sight, rules, decisions.count, world.usage.cols());
        const auto groups = groups_of(sight.statistics, rules);
        const bool of_demand = std::any_of(groups.begin(), groups.end(), [](const Group& g) { return g.of_demand; });
        each_series(of_demand, [&](Worker& worker, Index i, const Poll& own_poll) {
            worker.books.of(worker.demand, days.days(), calendar.moments);
            sink.begin(worker);
            worker.rows.of(worker.demand, groups, ahead(decisions, i));
            const double quota = world.quotas.quota(i);
            std::size_t done = 0;
            for (const Group& group : groups) {
                const auto rows = worker.rows(group, decisions, sight, i);
                for (std::size_t k = 0; k < rows.size(); ++k) {
                    worker.path.begin(rows[k], decisions, quota);
                    for (const Index p : group.rules[k]) {
                        worker.path.of(rules[static_cast<std::size_t>(p)]);
                        sink(worker, i, p, worker.path.trail());
                        if (++done % rules_between_polls == 0 && own_poll) own_poll();
                    }
                }
            }
        });
    }

    /// The same for what was replayed elsewhere.
    template <class Sink>
    void each_path(const std::vector<std::vector<Change>>& paths, const Sink& sink) {
        const Index samples = world.usage.rows(), series = world.usage.cols();
        std::vector<std::vector<std::size_t>> begins;  // by path, where each series' changes begin
        for (const auto& changes : paths) {
            auto& begin = begins.emplace_back(static_cast<std::size_t>(series) + 1, 0);
            for (std::size_t k = 0; k < changes.size(); ++k) {
                const auto [i, from, quota] = changes[k];
                require(i >= 0 && i < series && from >= calendar.first && from < samples && std::isfinite(quota) &&
                            quota >= 0 &&
                            (k == 0 || std::pair(changes[k - 1].series, changes[k - 1].from) < std::pair(i, from)),
                        "changes", "must be finite quotas by series and sample, ascending",
                        fmt::format("{} from sample {} of series {}", quota, from, i));
                begin[static_cast<std::size_t>(i) + 1] = k + 1;
            }
            for (std::size_t i = 1; i < begin.size(); ++i) begin[i] = std::max(begin[i], begin[i - 1]);
        }
        each_series(false, [&](Worker& worker, Index i, const Poll&) {
            worker.books.of(worker.demand, days.days(), calendar.moments);
            sink.begin(worker);
            for (std::size_t p = 0; p < paths.size(); ++p) {
                worker.pieces.clear();
                const std::size_t end = begins[p][static_cast<std::size_t>(i) + 1];
                for (std::size_t k = begins[p][static_cast<std::size_t>(i)]; k < end; ++k)
                    worker.pieces.push_back(
                        {paths[p][k].from, k + 1 < end ? paths[p][k + 1].from : samples, paths[p][k].quota});
                sink(worker, i, static_cast<Index>(p), {worker.pieces});
            }
        });
    }

    Index blocks(Index block) const {
        require(block >= 1, "block", "must be at least one sample", block);
        return (world.usage.rows() - calendar.first + block - 1) / block;
    }
};

}  // namespace

void check(const Calendar& calendar, Index samples) {
    require(is_duration(calendar.step_s), "step_s", "must be a positive number of seconds", calendar.step_s);
    require(calendar.first >= 1 && calendar.first < samples, "first", fmt::format("must lie in [1, {})", samples),
            calendar.first);
    require(calendar.every >= 1, "every", "must be at least one sample", calendar.every);
    require(calendar.every <= (Index{1} << 40), "every", "must be at most 2⁴⁰ samples", calendar.every);
    require(calendar.lead >= 0 && calendar.lead < (Index{1} << 40), "lead", "must be 0 samples or more", calendar.lead);
    require(calendar.cvar_frac >= 0 && calendar.cvar_frac <= 1, "cvar_frac", "must lie in [0, 1]", calendar.cvar_frac);
    require(std::isfinite(calendar.offset_s) && calendar.offset_s >= 0 && calendar.offset_s <= day_s, "offset_s",
            "must lie within a day", calendar.offset_s);
    require(static_cast<double>(samples) * calendar.step_s / day_s < 2e9, "step_s", "must not make 2·10⁹ days",
            calendar.step_s);
    for (std::size_t k = 0; k < calendar.moments.size(); ++k)
        require(calendar.moments[k] >= 0 && calendar.moments[k] < samples &&
                    (k == 0 || calendar.moments[k - 1] < calendar.moments[k]),
                "moments", "must be samples in ascending order", calendar.moments[k]);
}

Result replay(const World& world, const Calendar& calendar, const Sight& sight, const std::vector<Rule>& rules,
              Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Result out = blank(static_cast<Index>(rules.size()), world.usage.cols());
    call.each_rule(sight, rules, IntoTotals{out, calendar.cvar_frac});
    return out;
}

Blocks replay_blocks(const World& world, const Calendar& calendar, const Sight& sight, const std::vector<Rule>& rules,
                     Index block, Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Blocks out = blank(static_cast<Index>(rules.size()), world.usage.cols(), call.blocks(block));
    call.each_rule(sight, rules, IntoBlocks{out, calendar.first, block});
    return out;
}

Eigen::ArrayXXd quotas_of(const World& world, const Calendar& calendar, const Sight& sight, const Rule& rule,
                          Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Eigen::ArrayXXd out(world.usage.rows(), world.usage.cols());
    call.each_rule(sight, {rule}, IntoQuotas{out});
    return out;
}

Result judge(const World& world, const Calendar& calendar, const std::vector<std::vector<Change>>& changes,
             Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Result out = blank(static_cast<Index>(changes.size()), world.usage.cols());
    call.each_path(changes, IntoTotals{out, calendar.cvar_frac});
    return out;
}

Blocks judge_blocks(const World& world, const Calendar& calendar, const std::vector<std::vector<Change>>& changes,
                    Index block, Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Blocks out = blank(static_cast<Index>(changes.size()), world.usage.cols(), call.blocks(block));
    call.each_path(changes, IntoBlocks{out, calendar.first, block});
    return out;
}

std::vector<Eigen::ArrayXXd> statistics_of(const World& world, const Calendar& calendar, const Sight& sight,
                                           Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    const Decisions decisions(calendar, world.usage.rows());
    std::vector<Rule> rules(sight.statistics.size());
    for (std::size_t s = 0; s < rules.size(); ++s) rules[s].statistic = static_cast<Index>(s);
    check(sight, rules, decisions.count, world.usage.cols());
    std::vector<Eigen::ArrayXXd> out(rules.size(), Eigen::ArrayXXd(decisions.count, world.usage.cols()));
    const auto groups = groups_of(sight.statistics, rules);
    call.each_series(true, [&](Worker& worker, Index i, const Poll&) {
        worker.rows.of(worker.demand, groups, call.ahead(decisions, i));
        for (const Group& group : groups) {
            const auto rows = worker.rows(group, decisions, sight, i);
            for (std::size_t k = 0; k < rows.size(); ++k)
                std::copy_n(rows[k].track.value, decisions.count,
                            out[static_cast<std::size_t>(group.rules[k].front())].col(i).data());
        }
    });
    return out;
}

Carried carried(const World& world, const Calendar& calendar, Index threads, const Poll& poll) {
    Call call(world, calendar, threads, poll);
    Carried out{Eigen::ArrayXXd(world.usage.rows(), world.usage.cols()),
                Eigen::ArrayXXd(world.usage.rows(), world.usage.cols())};
    call.each_series(true, [&](Worker& worker, Index i, const Poll&) {
        std::copy(worker.demand.demand().begin(), worker.demand.demand().end(), out.demand.col(i).data());
        worker.books.of(worker.demand, call.days.days(), calendar.moments);
        std::copy_n(worker.books.carried().track().value, world.usage.rows(), out.peak.col(i).data());
    });
    return out;
}

std::uint64_t fingerprint(const Samples& usage, const Poll& poll) {
    constexpr std::uint64_t prime = 0x100000001b3, begin = 0xcbf29ce484222325;  // FNV's, over whole samples
    std::uint64_t out = begin;
    series::for_each_series(usage, poll, [&](Index, std::span<const double> x) {
        std::uint64_t lanes[4] = {begin, begin + 1, begin + 2, begin + 3};  // a product waits for the one before
        for (std::size_t t = 0; t < x.size(); ++t)
            lanes[t % 4] = (lanes[t % 4] ^ (std::bit_cast<std::uint64_t>(x[t]) + (lanes[t % 4] >> 32))) * prime;
        for (const std::uint64_t lane : lanes) out = (out ^ (lane + (out >> 32))) * prime;
    });
    return out;
}

}  // namespace surgetank::backtest
