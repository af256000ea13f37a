#include "surgetank/lanes.hpp"

#include "surgetank/cpu_kernels.hpp"

namespace surgetank::lanes {

SURGETANK_KERNELS

}  // namespace surgetank::lanes
