#include "bind.hpp"
#include "surgetank/cpu.hpp"
#include "surgetank/series_summary.hpp"

namespace surgetank::bind {
namespace {

py::dict summarize(const Samples& usage, const std::vector<double>& quantiles, Index threads) {
    UsageSummary found;
    {
        const py::gil_scoped_release release;
        found = summarize_usage(usage, quantiles, threads, poll_signals);
    }
    using py::literals::operator""_a;
    return py::dict("count"_a = array(std::move(found.count)), "mean"_a = array(std::move(found.mean)),
                    "sigma_population"_a = array(std::move(found.sigma_population)),
                    "slope"_a = array(std::move(found.slope)), "min"_a = array(std::move(found.min)),
                    "max"_a = array(std::move(found.max)), "last"_a = array(std::move(found.last)),
                    "last_index"_a = array(std::move(found.last_index)),
                    "quantiles"_a = array(std::move(found.quantiles)));
}

}  // namespace

void register_series(py::module_& m) {
    try {
        cpu_level();  // chosen now
    } catch (const InvalidInput&) {
        // A wrong SURGETANK_CPU is refused by whatever needs it first, in words; an import could only fail with a
        // traceback.
    }
    m.def("cpu", [] { return name(cpu_level()); });
    m.def("cpu_levels", [] {
        std::vector<std::string> out;
        for (const Level level : levels)
            if (available(level)) out.emplace_back(name(level));
        return out;
    });
    m.def("summarize", &summarize, py::arg("usage").noconvert(), py::arg("quantiles"), py::arg("threads"));
}

}  // namespace surgetank::bind
