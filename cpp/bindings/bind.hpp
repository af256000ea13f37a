// What every binding file uses: strided views in, read-only arrays without copies out, Ctrl-C while the GIL is free.
#pragma once

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <utility>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::bind {

namespace py = pybind11;

void register_series(py::module_& m);
void register_spikes(py::module_& m);
void register_headroom(py::module_& m);
void register_allocation(py::module_& m);
void register_recovery(py::module_& m);
void register_backtest(py::module_& m);

/// A read-only NumPy array that owns `values`; an empty array becomes None (an output that was not asked for).
template <class Scalar, int Rows, int Cols>
py::object array(Eigen::Array<Scalar, Rows, Cols>&& values) {
    using Values = Eigen::Array<Scalar, Rows, Cols>;
    if (values.size() == 0) return py::none();
    auto* kept = new Values(std::move(values));
    const py::capsule owner(kept, [](void* p) { delete static_cast<Values*>(p); });
    constexpr auto item = static_cast<py::ssize_t>(sizeof(Scalar));
    std::vector<py::ssize_t> shape{kept->rows()}, strides{item};
    if constexpr (Cols == Eigen::Dynamic) {
        shape.push_back(kept->cols());
        strides.push_back(item * kept->rows());  // series-major, as computed
    }
    py::array_t<Scalar> out(shape, strides, kept->data(), owner);
    out.attr("setflags")(py::arg("write") = false);
    return out;
}

/// Enumerators travel as their names: words in the core, the same words in Python.
template <class Enum, class Name>
py::list words(const std::vector<Enum>& values, Name&& name) {
    py::list out;
    for (const Enum value : values) out.append(name(value));
    return out;
}

/// Lets a long call that has released the GIL answer Ctrl-C.
inline void poll_signals() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace surgetank::bind
