#include "surgetank/lanes.hpp"

#include "surgetank/cpu.hpp"

namespace surgetank::lanes {

// Defined by lanes_kernels.cpp, once for each level that CMakeLists.txt builds.
namespace plain {
extern const Kernels table;
}
#ifdef SURGETANK_LEVELS
namespace v2 {
extern const Kernels table;
}
namespace v3 {
extern const Kernels table;
}
namespace v4 {
extern const Kernels table;
}
#endif

const Kernels* kernels(Level level) {
#ifdef SURGETANK_LEVELS
    return of_level(level, &plain::table, &v2::table, &v3::table, &v4::table);
#else
    return of_level(level, &plain::table);
#endif
}

const Kernels& kernels() {
    static const Kernels& chosen = *kernels(cpu_level());
    return chosen;
}

}  // namespace surgetank::lanes
