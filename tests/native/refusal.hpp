// What the native tests share: the whole message of a refusal.
#pragma once

#include <functional>
#include <string>

#include "surgetank/core.hpp"

namespace surgetank {

inline std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const InvalidInput& error) {
        return error.what();
    }
    return "(nothing was thrown)";
}

}  // namespace surgetank
