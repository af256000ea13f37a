// Kernel `aligned`: vectors that begin where a cache line does, for what is read in whole registers: one that lies
// across two lines is two loads, and where malloc happens to put memory should not decide on that.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace surgetank {

template <class T>
struct AtLine {
    using value_type = T;
    static constexpr std::align_val_t line{64};

    AtLine() = default;
    template <class U>
    AtLine(const AtLine<U>&) noexcept {}  // as std::allocator_traits wants it: not explicit

    T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete(p, line); }
    bool operator==(const AtLine&) const = default;
};

template <class T>
using Aligned = std::vector<T, AtLine<T>>;

}  // namespace surgetank
