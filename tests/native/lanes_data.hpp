// What the native tests of lanes share: memory that ends where reading on faults, nasty samples, bits compared.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "surgetank/core.hpp"
#include "surgetank/cpu.hpp"
#include "surgetank/lanes.hpp"

namespace surgetank {

/// n items that end at a page nobody may touch: the kernels are built without sanitizers for most instruction sets.
template <class Item>
class Guarded {
public:
    explicit Guarded(std::size_t n) : n_(n) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        used_ = (n * sizeof(Item) + page - 1) / page * page;
        bytes_ = used_ + page;
        memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED || mprotect(static_cast<char*>(memory_) + used_, page, PROT_NONE) != 0)
            throw std::bad_alloc();
    }
    explicit Guarded(const std::vector<Item>& items) : Guarded(items.size()) {
        if (n_ > 0) std::memcpy(data(), items.data(), n_ * sizeof(Item));
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() { munmap(memory_, bytes_); }

    Item* data() const { return reinterpret_cast<Item*>(static_cast<char*>(memory_) + used_) - n_; }
    std::size_t size() const { return n_; }
    std::vector<Item> copy() const { return {data(), data() + n_}; }

private:
    std::size_t n_, used_ = 0, bytes_ = 0;
    void* memory_ = nullptr;
};

template <class Item>
bool same_bits(const Item* a, const Item* b, std::size_t n) {
    return n == 0 || std::memcmp(a, b, n * sizeof(Item)) == 0;
}

template <class Item>
bool same_bits(const std::vector<Item>& a, const std::vector<Item>& b) {
    return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

/// What samples may be beside ordinary numbers.
struct Mix {
    bool missing = false, infinite = false, extreme = false;
};

inline std::vector<double> nasty(std::size_t n, Mix mix, unsigned seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(5, 3);
    std::vector<double> x(n);
    for (auto& u : x) {
        u = normal(random);
        const auto kind = random() % 40;
        if (kind == 0) u = 0.0;
        if (kind == 1) u = -0.0;
        if (mix.missing && (kind == 2 || kind == 3)) u = nan;
        if (mix.infinite && kind == 4) u = inf;
        if (mix.infinite && kind == 5) u = -inf;
        if (mix.extreme && kind == 6) u = 1e150;
        if (mix.extreme && kind == 7) u = -1e-130;
        if (mix.extreme && kind == 8) u = 5e-324;
    }
    return x;
}

inline std::vector<lanes::Row> rows_of(const std::vector<double>& x) {
    std::vector<lanes::Row> rows(x.size() / lanes::width);
    for (std::size_t i = 0; i < rows.size(); ++i) std::memcpy(rows[i].lane, &x[i * lanes::width], sizeof rows[i].lane);
    return rows;
}

inline std::vector<lanes::Row> nasty_rows(std::size_t rows, Mix mix, unsigned seed) {
    return rows_of(nasty(rows * lanes::width, mix, seed));
}

/// Tests that run once for each level; those a machine lacks are skipped with a reason.
inline std::string level_name(Level level) {
    std::string out = name(level);
    for (char& c : out) c = c == '-' ? '_' : c;
    return out;
}

class EveryLevel : public testing::TestWithParam<Level> {
protected:
    void SetUp() override {
        if (!available(GetParam())) GTEST_SKIP() << name(GetParam()) << ": this machine or build has it not";
        kernels_ = lanes::kernels(GetParam());
    }
    const lanes::Kernels* kernels_ = nullptr;
    const lanes::Kernels& plain_ = *lanes::kernels(Level::plain);
};

}  // namespace surgetank
