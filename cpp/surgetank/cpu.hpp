// Kernel `cpu`: which instruction set the kernels use, chosen once.
//
// Levels are those of the x86-64 psABI: v2 (SSE4.2), v3 (AVX2), v4 (AVX-512). "plain" is what the compiler was told to
// build for, the only one on other architectures. Every level gives the same bits.
#pragma once

#include <string_view>

namespace surgetank {

enum class Level : int { plain, v2, v3, v4 };
inline constexpr Level levels[] = {Level::plain, Level::v2, Level::v3, Level::v4};

/// "plain", "x86-64-v2", "x86-64-v3", "x86-64-v4".
const char* name(Level level);

/// Can this machine run it, and was it built in?
bool available(Level level);

/// Of the tables that a kernel was built with for each level, that of `level`; null where it is not available.
template <class Table>
const Table* of_level(Level level, const Table* plain, const Table* v2 = nullptr, const Table* v3 = nullptr,
                      const Table* v4 = nullptr) {
    if (!available(level)) return nullptr;
    switch (level) {
        case Level::v2: return v2;
        case Level::v3: return v3;
        case Level::v4: return v4;
        case Level::plain: break;
    }
    return plain;
}

/// The level of that name, or for an empty name the best that is available.
/// Throws InvalidInput, naming the environment variable SURGETANK_CPU, for any other.
Level level_of(std::string_view wanted);

/// level_of the environment variable SURGETANK_CPU, read once. Throws as level_of.
Level cpu_level();

}  // namespace surgetank
