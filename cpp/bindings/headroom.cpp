#include "surgetank/headroom.hpp"

#include "bind.hpp"

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

py::dict classic(const Samples& usage, const Clock& clock, const Quotas& quotas,
                 const std::vector<ClassicScenario>& scenarios, const ClassicOptions& options) {
    Headroom h;
    {
        const py::gil_scoped_release release;
        h = classic_headroom(usage, clock, quotas, scenarios, options, poll_signals);
    }
    const auto spell = [](auto value) { return name(value); };
    using py::literals::operator""_a;
    return py::dict(
        "usage"_a = array(std::move(h.usage)), "day_peak"_a = array(std::move(h.day_peak)),
        "age_s"_a = array(std::move(h.age_s)), "base"_a = array(std::move(h.base)),
        "failover"_a = array(std::move(h.failover)), "spike"_a = array(std::move(h.spike)),
        "minimum"_a = array(std::move(h.minimum)), "maximum"_a = array(std::move(h.maximum)),
        "needed"_a = array(std::move(h.needed)), "required"_a = array(std::move(h.required)),
        "available"_a = array(std::move(h.available)), "utilization"_a = array(std::move(h.utilization)),
        "day_utilization"_a = array(std::move(h.day_utilization)), "shortfall"_a = array(std::move(h.shortfall)),
        "base_frac"_a = array(std::move(h.base_frac)), "failover_frac"_a = array(std::move(h.failover_frac)),
        "spike_frac"_a = array(std::move(h.spike_frac)), "classic_required"_a = array(std::move(h.classic_required)),
        "classic_utilization"_a = array(std::move(h.classic_utilization)), "status"_a = words(h.status, spell),
        "unknown"_a = words(h.unknown, spell), "term"_a = words(h.term, spell), "scenario"_a = h.scenario,
        "limit"_a = words(h.limit, spell));
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
        .def_readwrite("quota", &Quotas::quota)
        .def_readwrite("cost_per_unit", &Quotas::cost_per_unit)
        .def_readwrite("warning_frac", &Quotas::warning_frac)
        .def_readwrite("critical_frac", &Quotas::critical_frac)
        .def_readwrite("adjustable", &Quotas::adjustable)
        .def_readwrite("region", &Quotas::region)
        .def_readwrite("spike_ratio", &Quotas::spike_ratio);
    py::class_<ClassicScenario>(m, "ClassicScenario")
        .def(py::init<>())
        .def_readwrite("targets", &ClassicScenario::targets)
        .def_readwrite("target_multiplier", &ClassicScenario::target_multiplier)
        .def_readwrite("probability", &ClassicScenario::probability)
        .def_readwrite("impact", &ClassicScenario::impact);
    m.def("classic_headroom", &classic, py::arg("usage").noconvert(), py::arg("clock"), py::arg("quotas"),
          py::arg("scenarios"), py::arg("options"));
}

}  // namespace surgetank::bind
