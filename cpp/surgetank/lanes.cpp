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
    if (level == Level::plain) return &plain::table;
#ifdef SURGETANK_LEVELS
    // These ask the operating system, too, whether it saves the registers.
#if !defined(__clang__) && __GNUC__ >= 12
    const bool has_v2 = __builtin_cpu_supports("x86-64-v2"), has_v3 = __builtin_cpu_supports("x86-64-v3"),
               has_v4 = __builtin_cpu_supports("x86-64-v4");
#else
    const bool has_v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const bool has_v3 = has_v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool has_v4 = has_v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
#endif
    if (level == Level::v2 && has_v2) return &v2::table;
    if (level == Level::v3 && has_v3) return &v3::table;
    if (level == Level::v4 && has_v4) return &v4::table;
#endif
    return nullptr;
}

const Kernels& kernels() {
    static const Kernels& chosen = *kernels(cpu_level());
    return chosen;
}

}  // namespace surgetank::lanes
