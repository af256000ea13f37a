// The vocabulary every kernel and stem shares: array views, the two errors, require(), cancellation.
//
// Nothing in cpp/surgetank knows about Python. Arrays arrive as Eigen views with any positive strides, so that a
// NumPy array in C order (an instant per row, contiguous) and in Fortran order (a series per column, contiguous)
// both pass without a copy.
#pragma once

#include <fmt/format.h>

#include <Eigen/Core>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace surgetank {

using Index = Eigen::Index;
using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

/// Samples, shape (T, N): T instants, N series, in the quota's unit. NaN means not observed.
using Samples = Eigen::Ref<const Eigen::ArrayXXd, 0, Strides>;

/// One value per series, shape (N).
using Column = Eigen::Ref<const Eigen::ArrayXd>;

inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double inf = std::numeric_limits<double>::infinity();

/// The caller's argument breaks a rule. what() reads "argument: rule (got value)".
class InvalidInput : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// Valid arguments, but no number within double precision answers them.
class NumericalFailure : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Throws InvalidInput "argument: rule (got value)" unless `holds`. The message is only built when it is needed.
template <class Value>
void require(bool holds, std::string_view argument, std::string_view rule, const Value& value) {
    if (!holds) throw InvalidInput(fmt::format("{}: {} (got {})", argument, rule, value));
}

/// Called now and then in long loops; it may throw to abandon the call (the Python face answers Ctrl-C with it).
using Poll = std::function<void()>;
inline void no_poll() {}

}  // namespace surgetank
