#include "surgetank/cpu.hpp"

#include <cstdlib>
#include <string>

#include "surgetank/core.hpp"
#include "surgetank/lanes.hpp"

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

bool available(Level level) { return lanes::kernels(level) != nullptr; }

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
