#include "bind.hpp"
#include "surgetank/spikes_rolling.hpp"

namespace surgetank::bind {
namespace {

// Columns, not objects: there may be millions of episodes, and few of them are looked at.
py::dict episodes(const std::vector<Episode>& found) {
    const auto column = [&found](auto Episode::* field) {
        py::array_t<std::remove_reference_t<decltype(Episode{}.*field)>> out(static_cast<py::ssize_t>(found.size()));
        auto* to = out.mutable_data();
        for (const auto& episode : found) *to++ = episode.*field;
        return out;
    };
    using py::literals::operator""_a;
    return py::dict("series"_a = column(&Episode::series), "start"_a = column(&Episode::start),
                    "end"_a = column(&Episode::end), "peak"_a = column(&Episode::peak),
                    "ratio"_a = column(&Episode::ratio));
}

py::dict detect(const Samples& usage, const RollingSigmaOptions& options, const SpikeOutputs& outputs, Index threads) {
    Spikes found;
    {
        const py::gil_scoped_release release;
        found = rolling_sigma(usage, options, outputs, threads, poll_signals);
    }
    using py::literals::operator""_a;
    return py::dict("flags"_a = array(std::move(found.flags)), "scores"_a = array(std::move(found.scores)),
                    "likelihood"_a = array(std::move(found.likelihood)), "ratios"_a = array(std::move(found.ratios)),
                    "episodes"_a = outputs.episodes ? py::object(episodes(found.episodes)) : py::none(),
                    "count"_a = array(std::move(found.count)), "p95_ratio"_a = array(std::move(found.p95_ratio)),
                    "max_ratio"_a = array(std::move(found.max_ratio)));
}

}  // namespace

void register_spikes(py::module_& m) {
    py::class_<RollingSigmaOptions>(m, "RollingSigmaOptions")
        .def(py::init<>())
        .def("check", [](const RollingSigmaOptions& options) { check(options); })
        .def_readwrite("window", &RollingSigmaOptions::window)
        .def_readwrite("threshold", &RollingSigmaOptions::threshold)
        .def_readwrite("exclude_current", &RollingSigmaOptions::exclude_current);
    py::class_<SpikeOutputs>(m, "SpikeOutputs")
        .def(py::init<>())
        .def_readwrite("flags", &SpikeOutputs::flags)
        .def_readwrite("scores", &SpikeOutputs::scores)
        .def_readwrite("likelihood", &SpikeOutputs::likelihood)
        .def_readwrite("ratios", &SpikeOutputs::ratios)
        .def_readwrite("episodes", &SpikeOutputs::episodes);
    m.def("rolling_sigma", &detect, py::arg("usage").noconvert(), py::arg("options"), py::arg("outputs"),
          py::arg("threads"));
}

}  // namespace surgetank::bind
