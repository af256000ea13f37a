#include <mutex>

#include "bind.hpp"
#include "surgetank/spikes_rolling.hpp"
#include "surgetank/spikes_stream.hpp"

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

py::dict columns(Spikes&& found, const SpikeOutputs& outputs) {
    using py::literals::operator""_a;
    return py::dict("flags"_a = array(std::move(found.flags)), "scores"_a = array(std::move(found.scores)),
                    "likelihood"_a = array(std::move(found.likelihood)), "ratios"_a = array(std::move(found.ratios)),
                    "episodes"_a = outputs.episodes ? py::object(episodes(found.episodes)) : py::none(),
                    "count"_a = array(std::move(found.count)), "p95_ratio"_a = array(std::move(found.p95_ratio)),
                    "max_ratio"_a = array(std::move(found.max_ratio)));
}

template <auto detect, class Options>
py::dict found_by(const Samples& usage, const Options& options, const SpikeOutputs& outputs, Index threads) {
    Spikes found;
    {
        const py::gil_scoped_release release;
        found = detect(usage, options, outputs, threads, poll_signals);
    }
    return columns(std::move(found), outputs);
}

// One call at a time: a stream is a sequence of samples, whichever thread brings them. A signal handler runs inside the
// call that it interrupts, on the same thread: it may read (what was before that call), and is refused to update.
class Stream {
public:
    explicit Stream(AdaptiveStream stream) : stream_(std::move(stream)) {}

    py::dict update(const Samples& usage, const SpikeOutputs& outputs, Index threads) {
        Spikes found;
        {
            const py::gil_scoped_release release;
            const std::lock_guard lock(mutex_);
            require(!updating_, "usage", "cannot be taken while the stream is busy with another update",
                    "a call from inside");
            updating_ = true;
            try {
                found = stream_.update(usage, outputs, threads, poll_signals);
            } catch (...) {
                updating_ = false;
                throw;
            }
            updating_ = false;
        }
        return columns(std::move(found), outputs);
    }

    template <class Read>
    auto read(Read&& what) {
        const py::gil_scoped_release release;
        const std::lock_guard lock(mutex_);
        return what(stream_);
    }

private:
    std::recursive_mutex mutex_;
    bool updating_ = false;
    AdaptiveStream stream_;
};

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
    py::class_<AdaptiveOptions>(m, "AdaptiveOptions")
        .def(py::init<>())
        .def("check", [](const AdaptiveOptions& options) { check(options); })
        .def_readwrite("threshold", &AdaptiveOptions::threshold)
        .def_readwrite("both", &AdaptiveOptions::both)
        .def_readwrite("step_s", &AdaptiveOptions::step_s);
    py::class_<Stream>(m, "AdaptiveStream")
        .def(py::init([](const AdaptiveOptions& options, Index series) {
                 return std::make_unique<Stream>(AdaptiveStream(options, series));
             }),
             py::arg("options"), py::arg("series"))
        .def("update", &Stream::update, py::arg("usage").noconvert(), py::arg("outputs"), py::arg("threads"))
        .def("save", [](Stream& stream) { return py::bytes(stream.read([](const auto& s) { return s.save(); })); })
        .def_static("restore",
                    [](const py::bytes& bytes) {
                        return std::make_unique<Stream>(AdaptiveStream::restore(static_cast<std::string_view>(bytes)));
                    })
        .def_property_readonly_static("head_length", [](const py::object&) { return AdaptiveStream::head_length; })
        .def_static("length",
                    [](const py::bytes& bytes) { return AdaptiveStream::length(static_cast<std::string_view>(bytes)); })
        .def_property_readonly("series", [](Stream& s) { return s.read([](const auto& at) { return at.series(); }); })
        .def_property_readonly("samples", [](Stream& s) { return s.read([](const auto& at) { return at.samples(); }); })
        .def_property_readonly("options",
                               [](Stream& s) { return s.read([](const auto& at) { return at.options(); }); });
    m.def("adaptive", &found_by<adaptive, AdaptiveOptions>, py::arg("usage").noconvert(), py::arg("options"),
          py::arg("outputs"), py::arg("threads"));
    m.def("rolling_sigma", &found_by<rolling_sigma, RollingSigmaOptions>, py::arg("usage").noconvert(),
          py::arg("options"), py::arg("outputs"), py::arg("threads"));
}

}  // namespace surgetank::bind
