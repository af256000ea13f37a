#include "surgetank/recovery.hpp"

#include "bind.hpp"

namespace surgetank::bind {
namespace {

using sampling::Distribution;
using Counts = std::vector<std::uint64_t>;

py::object counts(const Counts& values) {
    Eigen::Array<std::uint64_t, Eigen::Dynamic, 1> out(static_cast<Index>(values.size()));
    std::copy(values.begin(), values.end(), out.begin());
    return array(std::move(out));
}

// Python's integers have no bound.
py::int_ whole(Wide value) {
    const py::int_ high(static_cast<std::uint64_t>(value >> 64)), low(static_cast<std::uint64_t>(value));
    return py::int_((high << py::int_(64)) | low);
}

py::dict plain(const TimeCounts& c) {
    using py::literals::operator""_a;
    return py::dict("finite"_a = c.finite, "within"_a = c.within, "sum"_a = whole(c.sum),
                    "squares"_a = whole(c.squares), "least"_a = c.least, "most"_a = c.most,
                    "histogram"_a = counts(c.histogram));
}

py::list plain(const std::vector<TimeCounts>& all) {
    py::list out;
    for (const auto& one : all) out.append(plain(one));
    return out;
}

py::dict plain(const RecoveryCounts& c) {
    using py::literals::operator""_a;
    return py::dict("trials"_a = c.trials, "clocks"_a = plain(c.clocks), "points"_a = plain(c.points), "met"_a = c.met,
                    "ready"_a = plain(c.ready), "fits"_a = c.fits, "fits_within"_a = c.fits_within,
                    "lacking"_a = c.lacking, "last"_a = c.last, "served"_a = counts(c.served), "paths"_a = c.paths,
                    "critical"_a = c.critical, "ran"_a = c.ran, "ran_ended"_a = c.ran_ended,
                    "critical_quanta"_a = c.critical_quanta, "ran_quanta"_a = c.ran_quanta);
}

RecoveryRun run_of(std::uint64_t seed, std::uint64_t first, std::uint64_t trials, std::vector<double> targets,
                   std::vector<double> point_targets, Index threads) {
    return {seed, first, trials, std::move(targets), std::move(point_targets), threads};
}

void register_distribution(py::module_& m) {
    py::class_<Distribution>(m, "Distribution")
        .def(py::init([](const std::string& kind, std::vector<double> parameters, std::vector<Distribution> parts) {
                 return Distribution(sampling::kind_of(kind), std::move(parameters), std::move(parts));
             }),
             py::arg("kind"), py::arg("parameters"), py::arg("parts") = std::vector<Distribution>())
        .def(
            "truncated", [](const Distribution& d, double low, double high) { return d.truncated(low, high); },
            py::arg("low"), py::arg("high"))
        .def("cdf", &Distribution::cdf, py::arg("seconds"))
        .def("quantile", py::overload_cast<double>(&Distribution::quantile, py::const_), py::arg("p"))
        .def("support", &Distribution::support)
        .def(
            "sample",
            [](const Distribution& d, Index n, std::uint64_t seed) {
                require(n >= 0 && n <= (Index{1} << 32), "n", "must lie in [0, 2^32]", n);
                Eigen::ArrayXd out(n);
                {
                    const py::gil_scoped_release release;
                    const sampling::Sampler sampler(d);
                    const auto stream = sampling::stream(seed, "sample", sampling::Purpose::duration);
                    double drawn[sampling::block];
                    for (Index i = 0; i < n; i += sampling::block) {
                        sampler.draw(sampling::kernels(), stream, static_cast<std::uint64_t>(i / sampling::group),
                                     sampling::block, drawn);
                        const Index some = std::min<Index>(sampling::block, n - i);
                        std::copy_n(drawn, some, out.data() + i);
                    }
                }
                return n == 0 ? py::object(py::array_t<double>(0)) : array(std::move(out));
            },
            py::arg("n"), py::arg("seed"));
    m.def(
        "fit_quantiles",
        [](const std::string& kind, double low, double likely, double high, double confidence) {
            return sampling::fit_quantiles(sampling::kind_of(kind), low, likely, high, confidence);
        },
        py::arg("kind"), py::arg("low"), py::arg("likely"), py::arg("high"), py::arg("confidence"));
    m.attr("recovery_bins") = py::make_tuple(sampling::first_octave, sampling::bins_per_octave, sampling::octave_count);
    m.def("philox", &sampling::philox, py::arg("counter"), py::arg("key"));
}

}  // namespace

void register_recovery(py::module_& m) {
    register_distribution(m);
    py::class_<RecoveryStep>(m, "RecoveryStep")
        .def(py::init<>())
        .def_readwrite("name", &RecoveryStep::name)
        .def_readwrite("duration", &RecoveryStep::duration)
        .def_readwrite("after", &RecoveryStep::after)
        .def_readwrite("option", &RecoveryStep::option)
        .def_readwrite("any", &RecoveryStep::any)
        .def_readwrite("failure", &RecoveryStep::failure)
        .def_readwrite("retries", &RecoveryStep::retries)
        .def_readwrite("retry_after", &RecoveryStep::retry_after)
        .def_readwrite("fallback", &RecoveryStep::fallback)
        .def_readwrite("loadings", &RecoveryStep::loadings)
        .def_readwrite("coupling", &RecoveryStep::coupling)
        .def_readwrite("options", &RecoveryStep::options);
    py::class_<RecoveryStore>(m, "RecoveryStore")
        .def(py::init([](std::string name, Distribution lag, Distribution copy) {
                 return RecoveryStore{std::move(name), std::move(lag), std::move(copy)};
             }),
             py::arg("name"), py::arg("lag"), py::arg("copy"));
    py::class_<Coupling>(m, "Coupling")
        .def(py::init([](const Column& served, const Eigen::Ref<const Eigen::Array<Index, Eigen::Dynamic, 1>>& starts,
                         const Eigen::Ref<const Eigen::Array<Index, Eigen::Dynamic, 1>>& lacking) {
                 return Coupling{
                     {served.begin(), served.end()}, {starts.begin(), starts.end()}, {lacking.begin(), lacking.end()}};
             }),
             py::arg("served"), py::arg("starts"), py::arg("lacking"));
    py::class_<RecoveryCapacity>(m, "RecoveryCapacity")
        .def(py::init<std::vector<std::string>, std::vector<Coupling>, const Distribution&, double>(),
             py::arg("quotas"), py::arg("couplings"), py::arg("lead"), py::arg("denial"));
    py::class_<RecoveryModel>(m, "RecoveryModel")
        .def(py::init([](std::vector<RecoveryStep> steps, std::vector<std::string> factors,
                         std::vector<RecoveryStore> stores, std::vector<Index> done, Index detection,
                         Index declaration) {
                 const py::gil_scoped_release release;
                 return RecoveryModel({std::move(steps), std::move(factors), std::move(stores), std::move(done),
                                       detection, declaration});
             }),
             py::arg("steps"), py::arg("factors"), py::arg("stores"), py::arg("done"), py::arg("detection"),
             py::arg("declaration"))
        .def(
            "run",
            [](const RecoveryModel& model, std::uint64_t seed, std::uint64_t first, std::uint64_t trials,
               std::vector<double> targets, std::vector<double> point_targets, Index threads,
               const RecoveryCapacity* capacity) {
                const auto run = run_of(seed, first, trials, std::move(targets), std::move(point_targets), threads);
                const RecoveryCounts found = [&] {
                    const py::gil_scoped_release release;
                    return model.run(run, capacity, poll_signals);
                }();
                return plain(found);
            },
            py::arg("seed"), py::arg("first"), py::arg("trials"), py::arg("targets"), py::arg("point_targets"),
            py::arg("threads"), py::arg("capacity") = nullptr)
        .def(
            "select",
            [](const RecoveryModel& model, std::uint64_t seed, std::uint64_t first, std::uint64_t trials, Index threads,
               const RecoveryCapacity* capacity, Index clock, const std::vector<std::uint64_t>& ranks) {
                const py::gil_scoped_release release;
                return model.select(run_of(seed, first, trials, {}, {}, threads), capacity, clock, ranks, poll_signals);
            },
            py::arg("seed"), py::arg("first"), py::arg("trials"), py::arg("threads"), py::arg("capacity"),
            py::arg("clock"), py::arg("ranks"));
}

}  // namespace surgetank::bind
