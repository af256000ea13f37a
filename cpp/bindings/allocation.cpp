#include "surgetank/allocation.hpp"

#include "bind.hpp"
#include "surgetank/allocation_event.hpp"

namespace surgetank::bind {
namespace {

template <class Value>
py::array_t<Value> copied(const std::vector<Value>& values) {
    py::array_t<Value> out(static_cast<py::ssize_t>(values.size()), values.data());
    out.attr("setflags")(py::arg("write") = false);
    return out;
}

// Sets of Regions as offsets and members.
py::tuple plain(const RegionSets& sets) { return py::make_tuple(copied(sets.starts()), copied(sets.members())); }

py::dict plain(Allocated&& a) {
    using py::literals::operator""_a;
    py::dict out("headroom"_a = array(std::move(a.headroom)), "price"_a = array(std::move(a.price)),
                 "raise_price"_a = array(std::move(a.raise_price)), "over"_a = array(std::move(a.over)),
                 "owed"_a = array(std::move(a.owed)), "feasible"_a = array(std::move(a.feasible)),
                 "cost"_a = array(std::move(a.cost)), "peaks_cost"_a = array(std::move(a.peaks_cost)),
                 "unplaced"_a = array(std::move(a.unplaced)), "bound"_a = array(std::move(a.bound)),
                 "gap"_a = array(std::move(a.gap)), "excess"_a = array(std::move(a.excess)),
                 "cuts"_a = array(std::move(a.cuts)), "steps"_a = array(std::move(a.steps)),
                 "moments"_a = array(std::move(a.moments)));
    out["binding"] = py::dict("service"_a = copied(a.binding.service), "failed"_a = plain(a.binding.failed),
                              "sources"_a = plain(a.binding.sources), "moment"_a = copied(a.binding.moment),
                              "weight"_a = copied(a.binding.weight), "need"_a = copied(a.binding.need),
                              "full"_a = plain(a.binding.full));
    py::dict broken;
    for (std::size_t s = 0; s < a.broken.size(); ++s) {
        Broken& b = a.broken[s];
        if (b.shortfall.size() == 0) continue;
        broken[py::int_(s)] =
            py::dict("failed"_a = b.failed, "sources"_a = b.sources, "moment"_a = b.moment, "missing"_a = b.missing,
                     "full"_a = b.full, "shortfall"_a = array(std::move(b.shortfall)));
    }
    out["broken"] = broken;
    return out;
}

}  // namespace

void register_allocation(py::module_& m) {
    using Sets = std::vector<std::vector<Index>>;
    py::class_<AllocationOptions>(m, "AllocationOptions")
        .def(py::init<>())
        .def_readwrite("unplaced", &AllocationOptions::unplaced)
        .def_readwrite("alpha", &AllocationOptions::alpha)
        .def_readwrite("threads", &AllocationOptions::threads);
    m.def(
        "allocate",
        [](const Samples& load, const Samples& existing, const Column& reserved, const Column& multiplier,
           const Column& critical, const Column& cost, const Column& raisable, const Samples& share, Index any,
           const Sets& sets, const AllocationOptions& options) {
            const Demand demand{load, existing, reserved, multiplier, critical, cost, raisable, share};
            Allocated answers;
            {
                const py::gil_scoped_release release;
                answers = allocate(demand, Failures{any, sets}, options, poll_signals);
            }
            return plain(std::move(answers));
        },
        py::arg("load").noconvert(), py::arg("existing").noconvert(), py::arg("reserved"), py::arg("multiplier"),
        py::arg("critical"), py::arg("cost"), py::arg("raisable"), py::arg("share").noconvert(), py::arg("any"),
        py::arg("sets"), py::arg("options"));
    m.def(
        "transfers",
        [](const Samples& load, const Samples& existing, const Column& reserved, const Column& multiplier,
           const Column& critical, const Column& cost, const Column& raisable, const Samples& share,
           const Column& headroom, Index service, const Sets& failed) {
            const Demand demand{load, existing, reserved, multiplier, critical, cost, raisable, share};
            std::vector<Transfers> answers;
            {
                const py::gil_scoped_release release;
                answers = transfers(demand, headroom, service, failed);
            }
            py::list out;
            for (Transfers& t : answers) out.append(py::make_tuple(array(std::move(t.flow)), t.unplaced, t.moment));
            return out;
        },
        py::arg("load").noconvert(), py::arg("existing").noconvert(), py::arg("reserved"), py::arg("multiplier"),
        py::arg("critical"), py::arg("cost"), py::arg("raisable"), py::arg("share").noconvert(), py::arg("headroom"),
        py::arg("service"), py::arg("failed"));
    py::class_<ProportionalOptions>(m, "ProportionalOptions")
        .def(py::init<>())
        .def("check", [](const ProportionalOptions& options) { check(options); })
        .def_readwrite("share_cap", &ProportionalOptions::share_cap)
        .def_readwrite("room_cap", &ProportionalOptions::room_cap);
    m.def(
        "share_out",
        [](const Column& need, const Samples& free, const Samples& preference, const ProportionalOptions& options) {
            Shared shared;
            {
                const py::gil_scoped_release release;
                shared = share_out(need, free, preference, options);
            }
            return py::make_tuple(array(std::move(shared.taken)), array(std::move(shared.shortfall)));
        },
        py::arg("need"), py::arg("free").noconvert(), py::arg("preference").noconvert(), py::arg("options"));
}

}  // namespace surgetank::bind
