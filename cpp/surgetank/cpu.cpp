#include "surgetank/cpu.hpp"

#include <cstdlib>
#include <string>

#include "surgetank/core.hpp"

namespace surgetank {

const char* name(Level level) {
    switch (level) {
        case Level::v2: return "x86-64-v2";
        case Level::v3: return "x86-64-v3";
        case Level::v4: return "x86-64-v4";
        case Level::plain: break;
    }
    return "plain";
}

bool available(Level level) {
    if (level == Level::plain) return true;
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
    return level == Level::v2 ? has_v2 : level == Level::v3 ? has_v3 : has_v4;
#else
    return false;
#endif
}

Level level_of(std::string_view wanted) {
    std::string known;
    Level best = Level::plain;
    for (const Level level : levels) {
        if (!available(level)) continue;
        if (wanted == name(level)) return level;
        known += (known.empty() ? "" : ", ") + std::string(name(level));
        best = level;
    }
    std::string shown(wanted);  // bytes that may be no text
    for (char& c : shown)
        if (c < ' ' || c > '~') c = '?';
    require(wanted.empty(), "SURGETANK_CPU", "must be empty or what this machine and build can run: " + known, shown);
    return best;
}

Level cpu_level() {
    static const Level chosen = [] {
        const char* wanted = std::getenv("SURGETANK_CPU");
        return level_of(wanted == nullptr ? "" : wanted);
    }();
    return chosen;
}

}  // namespace surgetank
