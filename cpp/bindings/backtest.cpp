#include "surgetank/backtest.hpp"

#include "bind.hpp"

namespace surgetank::bind {
namespace {

using backtest::Blocks;
using backtest::Calendar;
using backtest::Change;
using backtest::Result;
using backtest::Rule;
using backtest::Seasonal;
using backtest::Statistic;
using Numbers = Eigen::Ref<const Eigen::ArrayXd>;
using Integers = Eigen::Ref<const Eigen::Array<Index, Eigen::Dynamic, 1>>;
using Switches = Eigen::Ref<const Eigen::Array<bool, Eigen::Dynamic, 1>>;
using Array = py::array_t<double, py::array::f_style>;
using Path = std::tuple<Eigen::Array<Index, Eigen::Dynamic, 1>, Eigen::Array<Index, Eigen::Dynamic, 1>, Eigen::ArrayXd>;

py::dict totals(Result&& r) {
    using py::literals::operator""_a;
    return py::dict("own_short_sum"_a = array(std::move(r.own_short_sum)), "idle_sum"_a = array(std::move(r.idle_sum)),
                    "short_sum"_a = array(std::move(r.short_sum)), "spare_sum"_a = array(std::move(r.spare_sum)),
                    "max_short"_a = array(std::move(r.max_short)), "tail_sum"_a = array(std::move(r.tail_sum)),
                    "quota_sum"_a = array(std::move(r.quota_sum)), "last_quota"_a = array(std::move(r.last_quota)),
                    "samples"_a = array(std::move(r.samples)), "own_short"_a = array(std::move(r.own_short)),
                    "moments"_a = array(std::move(r.moments)), "fails"_a = array(std::move(r.fails)),
                    "failed_days"_a = array(std::move(r.failed_days)), "requests"_a = array(std::move(r.requests)),
                    "reversals"_a = array(std::move(r.reversals)));
}

// (P, N·B), series by series, as (P, N, B).
template <class Values>
py::object in_blocks(Values&& values, Index count) {
    const Index series = values.cols() / count;
    const py::object flat = array(std::move(values));
    return flat.attr("T").attr("reshape")(py::make_tuple(series, count, -1)).attr("transpose")(py::make_tuple(2, 0, 1));
}

py::dict by_block(Blocks&& b) {
    using py::literals::operator""_a;
    const Index n = b.count;
    return py::dict("idle_sum"_a = in_blocks(std::move(b.idle_sum), n),
                    "short_sum"_a = in_blocks(std::move(b.short_sum), n),
                    "own_short_sum"_a = in_blocks(std::move(b.own_short_sum), n),
                    "samples"_a = in_blocks(std::move(b.samples), n), "moments"_a = in_blocks(std::move(b.moments), n),
                    "fails"_a = in_blocks(std::move(b.fails), n), "requests"_a = in_blocks(std::move(b.requests), n));
}

std::vector<Rule> rules_of(const Integers& statistic, const Numbers& bar, const Numbers& factor, const Numbers& lower,
                           const Numbers& start, const Switches& of_quota) {
    const Index count = statistic.size();
    for (const Index other : {bar.size(), factor.size(), lower.size(), start.size(), of_quota.size()})
        require(other == count, "rules", fmt::format("must have {} of each number", count), other);
    std::vector<Rule> out;
    out.reserve(static_cast<std::size_t>(count));
    for (Index p = 0; p < count; ++p) out.push_back({statistic(p), bar(p), factor(p), lower(p), start(p), of_quota(p)});
    return out;
}

std::vector<Samples> views_of(const std::vector<Array>& arrays) {
    std::vector<Samples> out;
    for (const Array& a : arrays) {
        require(a.ndim() == 2, "given", "must be a matrix", a.ndim());
        out.emplace_back(Eigen::Map<const Eigen::ArrayXXd>(a.data(), a.shape(0), a.shape(1)));
    }
    return out;
}

std::vector<std::vector<Change>> changes_of(const std::vector<Path>& paths) {
    std::vector<std::vector<Change>> out;
    for (const auto& [series, from, quota] : paths) {
        require(series.size() == from.size() && from.size() == quota.size(), "changes", "must be of one length",
                quota.size());
        auto& changes = out.emplace_back();
        for (Index k = 0; k < series.size(); ++k) changes.push_back({series(k), from(k), quota(k)});
    }
    return out;
}

// Totals, or blocks where block > 0.
template <class Totals, class ByBlock>
py::dict either(Index block, const Totals& in_total, const ByBlock& in_blocks_of) {
    if (block > 0) {
        Blocks found;
        {
            const py::gil_scoped_release release;
            found = in_blocks_of();
        }
        return by_block(std::move(found));
    }
    Result found;
    {
        const py::gil_scoped_release release;
        found = in_total();
    }
    return totals(std::move(found));
}

py::dict replay(const Samples& usage, const Quotas& quotas, const std::vector<Event>& events, const Calendar& calendar,
                const std::vector<Statistic>& statistics, const std::vector<Seasonal>& seasonals,
                const Integers& statistic, const Numbers& bar, const Numbers& factor, const Numbers& lower,
                const Numbers& start, const Switches& of_quota, const std::vector<Array>& given, Index block,
                Index threads) {
    const auto rules = rules_of(statistic, bar, factor, lower, start, of_quota);
    const backtest::Sight sight{statistics, seasonals, views_of(given)};
    const backtest::World world{usage, quotas, events};
    return either(
        block, [&] { return backtest::replay(world, calendar, sight, rules, threads, poll_signals); },
        [&] { return backtest::replay_blocks(world, calendar, sight, rules, block, threads, poll_signals); });
}

py::object quotas_of(const Samples& usage, const Quotas& quotas, const std::vector<Event>& events,
                     const Calendar& calendar, const Statistic& statistic, const std::vector<Seasonal>& seasonals,
                     const std::tuple<double, double, double, double, bool>& numbers, const std::vector<Array>& given,
                     Index threads) {
    const auto& [bar, factor, lower, start, of_quota] = numbers;
    const backtest::Sight sight{{statistic}, seasonals, views_of(given)};
    Eigen::ArrayXXd found;
    {
        const py::gil_scoped_release release;
        found = backtest::quotas_of({usage, quotas, events}, calendar, sight, {0, bar, factor, lower, start, of_quota},
                                    threads, poll_signals);
    }
    return array(std::move(found));
}

py::dict judge(const Samples& usage, const Quotas& quotas, const std::vector<Event>& events, const Calendar& calendar,
               const std::vector<Path>& paths, Index block, Index threads) {
    const auto changes = changes_of(paths);
    const backtest::World world{usage, quotas, events};
    return either(
        block, [&] { return backtest::judge(world, calendar, changes, threads, poll_signals); },
        [&] { return backtest::judge_blocks(world, calendar, changes, block, threads, poll_signals); });
}

py::list statistics(const Samples& usage, const Quotas& quotas, const std::vector<Event>& events,
                    const Calendar& calendar, const std::vector<Statistic>& wanted,
                    const std::vector<Seasonal>& seasonals, Index threads) {
    std::vector<Eigen::ArrayXXd> found;
    {
        const py::gil_scoped_release release;
        found =
            backtest::statistics_of({usage, quotas, events}, calendar, {wanted, seasonals, {}}, threads, poll_signals);
    }
    py::list out;
    for (auto& one : found) out.append(array(std::move(one)));
    return out;
}

py::dict carried(const Samples& usage, const Quotas& quotas, const std::vector<Event>& events, const Calendar& calendar,
                 Index threads) {
    backtest::Carried found;
    {
        const py::gil_scoped_release release;
        found = backtest::carried({usage, quotas, events}, calendar, threads, poll_signals);
    }
    using py::literals::operator""_a;
    return py::dict("demand"_a = array(std::move(found.demand)), "peak"_a = array(std::move(found.peak)));
}

}  // namespace

void register_backtest(py::module_& m) {
    py::class_<Calendar>(m, "BacktestCalendar")
        .def(py::init<>())
        .def_readwrite("step_s", &Calendar::step_s)
        .def_readwrite("first", &Calendar::first)
        .def_readwrite("every", &Calendar::every)
        .def_readwrite("lead", &Calendar::lead)
        .def_readwrite("offset_s", &Calendar::offset_s)
        .def_readwrite("cvar_frac", &Calendar::cvar_frac)
        .def_readwrite("moments", &Calendar::moments);
    py::class_<Statistic>(m, "BacktestStatistic")
        .def(py::init([](bool of_demand, Index window, double quantile, Index seasonal, Index given) {
                 return Statistic{of_demand, window, quantile, seasonal, given};
             }),
             py::arg("of_demand"), py::arg("window"), py::arg("quantile"), py::arg("seasonal"), py::arg("given"));
    py::class_<Seasonal>(m, "BacktestSeasonal")
        .def(py::init<>())
        .def("check", [](const Seasonal& options) { backtest::check(options); })
        .def_readwrite("quantile", &Seasonal::quantile)
        .def_readwrite("level_quantile", &Seasonal::level_quantile)
        .def_readwrite("up_d", &Seasonal::up_d)
        .def_readwrite("down_d", &Seasonal::down_d)
        .def_readwrite("clip", &Seasonal::clip)
        .def_readwrite("seasons", &Seasonal::seasons)
        .def_readwrite("half_life_d", &Seasonal::half_life_d)
        .def_readwrite("annual", &Seasonal::annual);
    m.def("backtest_replay", &replay, py::arg("usage").noconvert(), py::arg("quotas"), py::arg("events"),
          py::arg("calendar"), py::arg("statistics"), py::arg("seasonals"), py::arg("statistic"), py::arg("bar"),
          py::arg("factor"), py::arg("lower"), py::arg("start"), py::arg("of_quota"), py::arg("given"),
          py::arg("block"), py::arg("threads"));
    m.def("backtest_quotas", &quotas_of, py::arg("usage").noconvert(), py::arg("quotas"), py::arg("events"),
          py::arg("calendar"), py::arg("statistic"), py::arg("seasonals"), py::arg("numbers"), py::arg("given"),
          py::arg("threads"));
    m.def("backtest_judge", &judge, py::arg("usage").noconvert(), py::arg("quotas"), py::arg("events"),
          py::arg("calendar"), py::arg("paths"), py::arg("block"), py::arg("threads"));
    m.def("backtest_statistics", &statistics, py::arg("usage").noconvert(), py::arg("quotas"), py::arg("events"),
          py::arg("calendar"), py::arg("statistics"), py::arg("seasonals"), py::arg("threads"));
    m.def(
        "backtest_fingerprint", [](const Samples& usage) { return backtest::fingerprint(usage, poll_signals); },
        py::arg("usage").noconvert(), py::call_guard<py::gil_scoped_release>());
    m.def("backtest_carried", &carried, py::arg("usage").noconvert(), py::arg("quotas"), py::arg("events"),
          py::arg("calendar"), py::arg("threads"));
}

}  // namespace surgetank::bind
