#include "surgetank/headroom.hpp"

#include <iterator>

#include "bind.hpp"
#include "surgetank/headroom_classic.hpp"
#include "surgetank/headroom_quantile.hpp"

namespace surgetank::bind {
namespace {

const char* name(Status status) {
    switch (status) {
        case Status::ok: return "OK";
        case Status::warning: return "WARNING";
        case Status::critical: return "CRITICAL";
        case Status::unknown: break;
    }
    return "UNKNOWN";
}

const char* name(Unknown unknown) {
    switch (unknown) {
        case Unknown::no_usage: return "no_usage";
        case Unknown::stale: return "stale";
        case Unknown::no_quota: return "no_quota";
        case Unknown::no_source: return "no_source";
        case Unknown::none: break;
    }
    return "none";
}

const char* name(Term term) {
    switch (term) {
        case Term::usage_floor: return "usage_floor";
        case Term::volatility: return "volatility";
        case Term::trend: return "trend";
        case Term::peak: return "peak";
        case Term::failover_floor: return "failover_floor";
        case Term::scenario: return "scenario";
        case Term::spikes: return "spikes";
        case Term::spike_default: return "spike_default";
        case Term::minimum: return "minimum";
        case Term::none: break;
    }
    return "none";
}

const char* name(Limit limit) {
    switch (limit) {
        case Limit::maximum: return "maximum";
        case Limit::cost_cap: return "cost_cap";
        case Limit::not_adjustable: return "not_adjustable";
        case Limit::none: break;
    }
    return "none";
}

template <class Word>
py::list spelled(const std::vector<Word>& values) {
    return words(values, [](Word value) { return name(value); });
}

// What every policy answers.
py::dict shared(Headroom&& h) {
    using py::literals::operator""_a;
    return py::dict("usage"_a = array(std::move(h.usage)), "day_peak"_a = array(std::move(h.day_peak)),
                    "age_s"_a = array(std::move(h.age_s)), "base"_a = array(std::move(h.base)),
                    "failover"_a = array(std::move(h.failover)), "spike"_a = array(std::move(h.spike)),
                    "needed"_a = array(std::move(h.needed)), "required"_a = array(std::move(h.required)),
                    "available"_a = array(std::move(h.available)), "utilization"_a = array(std::move(h.utilization)),
                    "day_utilization"_a = array(std::move(h.day_utilization)),
                    "shortfall"_a = array(std::move(h.shortfall)), "status"_a = spelled(h.status),
                    "unknown"_a = spelled(h.unknown), "limit"_a = spelled(h.limit));
}

py::dict classic(const Samples& usage, const Clock& clock, const Quotas& quotas, const Column& spike_ratio,
                 const std::vector<ClassicScenario>& scenarios, const ClassicOptions& options) {
    ClassicHeadroom h;
    {
        const py::gil_scoped_release release;
        h = classic_headroom(usage, clock, quotas, spike_ratio, scenarios, options, poll_signals);
    }
    py::dict out = shared(std::move(h));
    out["minimum"] = array(std::move(h.minimum));
    out["maximum"] = array(std::move(h.maximum));
    out["base_frac"] = array(std::move(h.base_frac));
    out["failover_frac"] = array(std::move(h.failover_frac));
    out["spike_frac"] = array(std::move(h.spike_frac));
    out["classic_required"] = array(std::move(h.classic_required));
    out["classic_utilization"] = array(std::move(h.classic_utilization));
    out["term"] = spelled(h.term);
    out["scenario"] = h.scenario;
    return out;
}

py::dict wanted(const Samples& usage, const Clock& clock, const Quotas& quotas, const Column& quota) {
    Headroom h;
    {
        const py::gil_scoped_release release;
        h = wanted_headroom(usage, clock, quotas, quota, poll_signals);
    }
    return shared(std::move(h));
}

// The fields of EventNeed, by the names they have everywhere.
constexpr std::pair<const char*, double EventNeed::*> event_fields[] = {{"need", &EventNeed::need},
                                                                        {"low", &EventNeed::low},
                                                                        {"high", &EventNeed::high},
                                                                        {"level", &EventNeed::level},
                                                                        {"counted", &EventNeed::counted},
                                                                        {"growth", &EventNeed::growth},
                                                                        {"slope_per_day", &EventNeed::slope_per_day},
                                                                        {"days", &EventNeed::days},
                                                                        {"daily_median", &EventNeed::daily_median},
                                                                        {"lands", &EventNeed::lands},
                                                                        {"samples", &EventNeed::samples},
                                                                        {"windows", &EventNeed::windows},
                                                                        {"n_eff", &EventNeed::n_eff},
                                                                        {"extrapolated", &EventNeed::extrapolated},
                                                                        {"threshold", &EventNeed::threshold},
                                                                        {"shape", &EventNeed::shape},
                                                                        {"scale", &EventNeed::scale},
                                                                        {"clusters", &EventNeed::clusters},
                                                                        {"clusters_per_s", &EventNeed::clusters_per_s},
                                                                        {"cluster_s", &EventNeed::cluster_s},
                                                                        {"risk", &EventNeed::risk},
                                                                        {"risk_low", &EventNeed::risk_low},
                                                                        {"risk_high", &EventNeed::risk_high},
                                                                        {"ask_in_s", &EventNeed::ask_in_s}};

py::dict by_event(const std::vector<EventNeed>& events, Index quotas) {
    py::dict out;
    const auto width = quotas == 0 ? 0 : static_cast<Index>(events.size()) / quotas;
    for (const auto& [field, member] : event_fields) {
        Eigen::ArrayXXd values(quotas, width);
        for (Index i = 0; i < quotas; ++i)
            for (Index e = 0; e < width; ++e) values(i, e) = events[static_cast<std::size_t>(i * width + e)].*member;
        out[field] = array(std::move(values));
    }
    return out;
}

py::dict quantile(const Samples& usage, const Clock& clock, const Quotas& quotas, const std::vector<Event>& events,
                  const QuantileOptions& options) {
    QuantileHeadroom h;
    {
        const py::gil_scoped_release release;
        h = quantile_headroom(usage, clock, quotas, events, options, poll_signals);
    }
    py::dict out = shared(std::move(h));
    out["need"] = array(std::move(h.need));
    out["need_low"] = array(std::move(h.need_low));
    out["need_high"] = array(std::move(h.need_high));
    out["needed_low"] = array(std::move(h.needed_low));
    out["needed_high"] = array(std::move(h.needed_high));
    out["growth"] = array(std::move(h.growth));
    out["n_eff"] = array(std::move(h.n_eff));
    out["probability_enough"] = array(std::move(h.probability_enough));
    out["probability_enough_low"] = array(std::move(h.probability_enough_low));
    out["probability_enough_high"] = array(std::move(h.probability_enough_high));
    out["quota_ok"] = array(std::move(h.quota_ok));
    out["ask_in_s"] = array(std::move(h.ask_in_s));
    out["event"] = h.event;
    out["event_needs"] = by_event(h.events, usage.cols());
    py::list joint;
    for (const JointFit& fit : h.joint) {
        using py::literals::operator""_a;
        joint.append(py::dict("moments"_a = fit.moments, "fits"_a = fit.fits, "risk_bound"_a = fit.risk_bound,
                              "quotas"_a = fit.quotas));
    }
    out["joint"] = joint;
    return out;
}

}  // namespace

void register_headroom(py::module_& m) {
    py::class_<ClassicOptions>(m, "ClassicOptions")
        .def(py::init<>())
        .def("check", [](const ClassicOptions& options) { check(options); })
        .def_readwrite("cost_cap", &ClassicOptions::cost_cap)
        .def_readwrite("trend_per_hour", &ClassicOptions::trend_per_hour)
        .def_readwrite("history_s", &ClassicOptions::history_s);
    py::class_<Clock>(m, "Clock")
        .def(py::init<>())
        .def_readwrite("step_s", &Clock::step_s)
        .def_readwrite("age_s", &Clock::age_s)
        .def_readwrite("stale_after_s", &Clock::stale_after_s);
    py::class_<Quotas>(m, "Quotas")
        .def(py::init<>())
        .def("__copy__", [](const Quotas& quotas) { return quotas; })
        .def_readwrite("quota", &Quotas::quota)
        .def_readwrite("cost_per_unit", &Quotas::cost_per_unit)
        .def_readwrite("warning_frac", &Quotas::warning_frac)
        .def_readwrite("critical_frac", &Quotas::critical_frac)
        .def_readwrite("adjustable", &Quotas::adjustable)
        .def_readwrite("region", &Quotas::region)
        .def_readwrite("group", &Quotas::group);
    py::class_<ClassicScenario>(m, "ClassicScenario")
        .def(py::init<>())
        .def_readwrite("targets", &ClassicScenario::targets)
        .def_readwrite("target_multiplier", &ClassicScenario::target_multiplier)
        .def_readwrite("probability", &ClassicScenario::probability)
        .def_readwrite("impact", &ClassicScenario::impact);
    m.def("classic_headroom", &classic, py::arg("usage").noconvert(), py::arg("clock"), py::arg("quotas"),
          py::arg("spike_ratio"), py::arg("scenarios"), py::arg("options"));
    py::class_<QuantileOptions>(m, "QuantileOptions")
        .def(py::init<>())
        .def("check", [](const QuantileOptions& options) { check(options); })
        .def_readwrite("risk", &QuantileOptions::risk)
        .def_readwrite("risk_normal", &QuantileOptions::risk_normal)
        .def_readwrite("normal_duration_s", &QuantileOptions::normal_duration_s)
        .def_readwrite("lead_time_s", &QuantileOptions::lead_time_s)
        .def_readwrite("review_s", &QuantileOptions::review_s)
        .def_readwrite("lead_time_p95_s", &QuantileOptions::lead_time_p95_s)
        .def_readwrite("growth", &QuantileOptions::growth)
        .def_readwrite("history_s", &QuantileOptions::history_s)
        .def_readwrite("fitted", &QuantileOptions::fitted)
        .def_readwrite("confidence", &QuantileOptions::confidence)
        .def_readwrite("cost_cap", &QuantileOptions::cost_cap);
    py::class_<Flow>(m, "Flow").def(
        py::init([](Index from, Index to, double weight) { return Flow{from, to, weight}; }), py::arg("source"),
        py::arg("target"), py::arg("weight"));
    py::class_<Event>(m, "Event")
        .def(py::init([](double duration_s, std::vector<Index> failed, std::vector<Flow> flows) {
                 return Event{duration_s, std::move(failed), std::move(flows)};
             }),
             py::arg("duration_s"), py::arg("failed"), py::arg("flows"));
    m.def("wanted_headroom", &wanted, py::arg("usage").noconvert(), py::arg("clock"), py::arg("quotas"),
          py::arg("wanted"));
    m.def("quantile_headroom", &quantile, py::arg("usage").noconvert(), py::arg("clock"), py::arg("quotas"),
          py::arg("events"), py::arg("options"));
}

}  // namespace surgetank::bind
