// Kernel `cpu`, for a kernel that is compiled once for each instruction set: its tables found, and one of them chosen.
//
// A macro, because what differs is the namespace that the tables are defined in.
#pragma once

#include "surgetank/cpu.hpp"

#ifdef SURGETANK_LEVELS
#define SURGETANK_TABLES        \
    namespace plain {           \
    extern const Kernels table; \
    }                           \
    namespace v2 {              \
    extern const Kernels table; \
    }                           \
    namespace v3 {              \
    extern const Kernels table; \
    }                           \
    namespace v4 {              \
    extern const Kernels table; \
    }
#define SURGETANK_TABLE_LIST &plain::table, &v2::table, &v3::table, &v4::table
#else
#define SURGETANK_TABLES        \
    namespace plain {           \
    extern const Kernels table; \
    }
#define SURGETANK_TABLE_LIST &plain::table
#endif

/// In a namespace with a struct Kernels, whose `table` is defined once for each level that CMakeLists.txt builds:
/// defines kernels(Level), null where it is not available, and kernels(), that of cpu_level().
#define SURGETANK_KERNELS                                                                 \
    SURGETANK_TABLES                                                                      \
    const Kernels* kernels(Level level) { return of_level(level, SURGETANK_TABLE_LIST); } \
    const Kernels& kernels() {                                                            \
        static const Kernels& chosen = *kernels(cpu_level());                             \
        return chosen;                                                                    \
    }
