// The extension module: a table of contents.
#include "bind.hpp"

namespace py = pybind11;

namespace {

// The Python classes live in surgetank.errors, so that `except surgetank.InvalidInput` catches either side's.
void raise_as(const char* name, const char* message) {
    const py::object type = py::module_::import("surgetank.errors").attr(name);
    PyErr_SetString(type.ptr(), message);
}

void register_errors(py::module_& m) {
    py::register_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const surgetank::InvalidInput& error) {
            raise_as("InvalidInput", error.what());
        } catch (const surgetank::NumericalFailure& error) {
            raise_as("NumericalFailure", error.what());
        }
    });
    m.def("_raise", [](const std::string& kind, const std::string& message) {  // for the tests of the translation
        if (kind == "InvalidInput") throw surgetank::InvalidInput(message);
        throw surgetank::NumericalFailure(message);
    });
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "The C++ core of surgetank: strict about its arguments; the modules beside it explain and convert.";
    register_errors(m);
    surgetank::bind::register_series(m);
    surgetank::bind::register_spikes(m);
    surgetank::bind::register_headroom(m);
    surgetank::bind::register_allocation(m);
    surgetank::bind::register_recovery(m);
    surgetank::bind::register_backtest(m);
}
