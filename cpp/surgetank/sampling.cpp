#include "surgetank/sampling.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "surgetank/cpu_kernels.hpp"

namespace surgetank::sampling {

SURGETANK_KERNELS

namespace {

constexpr Size most_parts = 255;
constexpr float most_shape = 1e30f;
constexpr std::size_t few = 5;  // so many words cost as much, one by one, as those of a block
constexpr double far = 64;      // from 0, in widths: a float still has 2¹⁷ values across

std::uint64_t mixed(std::uint64_t x) {  // splitmix64, Steele et al. 2014
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

Stream part_stream(const Stream& s, std::size_t part) {
    Stream out = s;
    out.purpose = static_cast<std::uint32_t>(mixed((std::uint64_t{s.purpose} << 32) + part + 1));
    return out;
}

Stream choice_stream(const Stream& s) { return part_stream(s, std::size_t{0} - 2); }

float uniform_of(std::uint32_t w) { return (static_cast<float>(w >> 9) + 0.5f) * 0x1p-23f; }

float looked_up(const Table& table, std::uint32_t w) {
    const float u = uniform_of(w), v = std::min(u, 1 - u);
    const auto bits = std::bit_cast<std::int32_t>(v);
    constexpr int shift = 23 - octave_bits, base = 103 << octave_bits;
    const auto cell =
        static_cast<std::size_t>((bits >> shift) - base + static_cast<std::int32_t>(w >> 31) * side_cells);
    const float t = std::bit_cast<float>(((bits & ((1 << shift) - 1)) << octave_bits) | 0x3f800000) - 1;
    const float value = table.a[cell] + t * (table.b[cell] + t * table.c[cell]);
    return std::max(std::min(value, table.most), table.least);
}

float in_triangle(const Triangle& t, std::uint32_t w) {
    const float x = static_cast<float>(w >> 9) + 0.5f;
    const bool below = x < t.mode;
    const float r = std::sqrt((below ? x : 0x1p23f - x) * (below ? t.rising : t.falling));
    return std::max(std::min(below ? t.low + r : t.high - r, t.high), t.low);
}

// The floats next to x that are not below it, and not above it.
float up(double x) {
    const auto f = static_cast<float>(x);
    return static_cast<double>(f) < x ? std::nextafter(f, std::numeric_limits<float>::infinity()) : f;
}
float down(double x) { return -up(-x); }

float bounded(double x) { return static_cast<float>(std::clamp<double>(x, -most_shape, most_shape)); }

void set_cell(float& a, float& b, float& c, double left, double middle, double right) {
    const double bend = 2 * (left - 2 * middle + right);
    a = bounded(left), b = bounded(right - left - bend), c = bounded(bend);
}

template <class Quantile>  // of Tails
std::shared_ptr<const Table> tabulated(const Quantile& quantile, double least = -inf, double most = inf) {
    auto table = std::make_shared<Table>();
    table->least = up(least), table->most = down(most);
    for (int side = 0; side < 2; ++side) {
        const auto at = [&](double v) {
            const double x = quantile(side == 0 ? Tails{v, 1 - v} : Tails{1 - v, v});
            return std::min(x, double{most_shape});
        };
        double left = at(0x1p-24);
        for (int cell = 0; cell < side_cells; ++cell) {
            const double start = std::ldexp(1 + static_cast<double>(cell % cells_per_octave) / cells_per_octave,
                                            cell / cells_per_octave - 24);
            const double width = std::ldexp(1.0 / cells_per_octave, cell / cells_per_octave - 24);
            const double middle = at(start + 0.5 * width), right = at(start + width);
            const auto i = static_cast<std::size_t>(side * side_cells + cell);
            set_cell(table->a[i], table->b[i], table->c[i], left, middle, right);
            left = right;
        }
    }
    return table;
}

template <class Quantile>
std::shared_ptr<const TableOfZ> tabulated_by_z(const Quantile& quantile, double least, double most) {
    auto table = std::make_shared<TableOfZ>();
    table->least = up(least), table->most = down(most);
    const auto at = [&](double k) {
        return std::min(quantile(normal_tails(2.0 * z_most * k / z_cells - z_most)), double{most_shape});
    };
    double left = at(0);
    for (int cell = 0; cell < z_cells; ++cell) {
        const double middle = at(cell + 0.5), right = at(cell + 1);
        const auto i = static_cast<std::size_t>(cell);
        set_cell(table->a[i], table->b[i], table->c[i], left, middle, right);
        left = right;
    }
    return table;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < round_count; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0], p1 = std::uint64_t{0xCD9E8D57u} * c[2];
        c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return c;
}

Stream stream(std::uint64_t seed, std::string_view name, Purpose purpose, std::uint32_t attempt) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char ch : name) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001b3u;
    const std::uint64_t key = mixed(mixed(seed) ^ hash);
    return {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)},
            attempt,
            static_cast<std::uint32_t>(purpose)};
}

std::uint32_t word(const Stream& s, std::uint64_t trial) {
    const std::uint64_t counter = trial / group * 16 + trial % 16;
    const auto four =
        philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), s.attempt, s.purpose},
               {s.key[0], s.key[1]});
    return four[trial % group / 16];
}

void some_words(const Kernels& kernels, const Stream& stream, std::uint64_t first_group,
                std::span<const std::int32_t> chosen, std::uint32_t* out) {
    if (chosen.size() <= few) {
        for (std::size_t k = 0; k < chosen.size(); ++k)
            out[k] = word(stream, first_group * group + static_cast<std::uint64_t>(chosen[k]));
        return;
    }
    alignas(64) std::uint32_t words[block];
    kernels.words(stream, first_group, block, words);
    for (std::size_t k = 0; k < chosen.size(); ++k) out[k] = words[chosen[k]];
}

std::uint64_t threshold(double probability) { return static_cast<std::uint64_t>(std::llround(probability * 0x1p32)); }

void normals(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n, float* out) {
    static const auto table = tabulated(normal_quantile);
    kernels.quantile(stream, first_group, n, *table, out);
}

Sampler::Sampler(const Distribution& d, bool by_factors) {
    const auto& p = d.parameters();
    const auto [low, high] = d.support();
    if (d.kind() == Kind::fixed || low == high) {
        low_ = low;
        return;
    }
    if (d.kind() == Kind::mixture) {
        form_ = Form::mixture;
        require(static_cast<Size>(p.size()) <= most_parts, "mixture",
                fmt::format("must have at most {} parts", most_parts), p.size());
        double all = 0;
        for (std::size_t i = 0; i < p.size(); ++i) {
            thresholds_.push_back(threshold(std::min(1.0, all += p[i])));
            parts_.emplace_back(d.parts()[i], by_factors);
        }
        thresholds_.back() = std::uint64_t{1} << 32;
        for (std::size_t k = 0; k < p.size(); ++k)
            if (thresholds_[k] > (k == 0 ? 0 : thresholds_[k - 1])) by_length_.push_back(k);
        std::ranges::stable_sort(by_length_, {}, [&](std::size_t k) { return d.parts()[k].quantile(0.5); });
        return;
    }
    if (d.kind() == Kind::empirical) {
        form_ = Form::empirical;
        values_ = p;
        return;
    }
    // Where a float would round away what the duration varies by, that is drawn on [0, 1] and scaled in double.
    const bool plain = high == inf || low <= far * (high - low);
    low_ = plain ? 0 : low, width_ = plain ? 1 : high - low;
    const double least = plain ? low : 0, most = plain ? high : 1;
    const auto quantile = [&](const Tails& q) { return (d.quantile(q) - low_) / width_; };
    if (by_factors) of_z_ = tabulated_by_z(quantile, least, most);
    if (d.kind() == Kind::uniform) {
        form_ = Form::uniform;
        least_ = up(least), most_ = down(most);
    } else if (d.kind() == Kind::triangular && !d.truncated()) {
        form_ = Form::triangular;
        const double width = p[2] - p[0], rise = p[1] - p[0], fall = p[2] - p[1], unit = plain ? 1 : width;
        const auto part = [&](double x) { return static_cast<float>(x * width / (unit * unit) * 0x1p-23); };
        triangle_ = {static_cast<float>(rise / width * 0x1p23), part(rise), part(fall), up(least), down(most)};
    } else {
        form_ = Form::table;
        table_ = tabulated(quantile, least, most);
    }
}

bool Sampler::draw_shapes(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n,
                          float* shapes) const {
    switch (form_) {
        case Form::uniform: kernels.uniform(stream, first_group, n, least_, most_, shapes); return true;
        case Form::triangular: kernels.triangular(stream, first_group, n, triangle_, shapes); return true;
        case Form::table: kernels.quantile(stream, first_group, n, *table_, shapes); return true;
        default: return false;
    }
}

void Sampler::choose(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n,
                     unsigned char* part) const {
    alignas(64) std::uint32_t words[block];
    kernels.words(choice_stream(stream), first_group, n, words);
    for (Size i = 0; i < n; ++i) {
        std::size_t k = 0;
        while (words[i] >= thresholds_[k]) ++k;
        part[i] = static_cast<unsigned char>(k);
    }
}

void Sampler::draw(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n,
                   double* took) const {
    alignas(64) float shapes[block];
    if (draw_shapes(kernels, stream, first_group, n, shapes)) {
        if (plain()) kernels.widen(shapes, n, took);
        else kernels.scale(shapes, low_, width_, n, took);
        return;
    }
    if (form_ == Form::fixed) {
        std::fill_n(took, n, low_);
    } else if (form_ == Form::empirical) {
        alignas(64) std::uint32_t words[block];
        kernels.words(stream, first_group, n, words);
        for (Size i = 0; i < n; ++i) took[i] = values_[index_below(words[i], values_.size())];
    } else {
        unsigned char part[block];
        double drawn[block];
        choose(kernels, stream, first_group, n, part);
        for (std::size_t k = 0; k < parts_.size(); ++k) {
            parts_[k].draw(kernels, part_stream(stream, k), first_group, n, drawn);
            for (Size i = 0; i < n; ++i)
                if (part[i] == k) took[i] = drawn[i];
        }
    }
}

void Sampler::draw_at(const Kernels& kernels, const float* z, Size n, double* took) const {
    if (form_ == Form::fixed) {
        std::fill_n(took, n, low_);
    } else if (form_ == Form::empirical) {
        const auto count = static_cast<double>(values_.size());
        for (Size i = 0; i < n; ++i) {
            const double at = normal_tails(static_cast<double>(z[i])).below * count;
            took[i] = values_[static_cast<std::size_t>(std::min(at, count - 1))];
        }
    } else if (form_ == Form::mixture) {
        for (Size i = 0; i < n; ++i) {
            const double u = normal_tails(static_cast<double>(z[i])).below;
            took[i] = at_word(static_cast<std::uint32_t>(std::min(u * 0x1p32, 0x1p32 - 1)));
        }
    } else {
        alignas(64) float shapes[block];
        kernels.quantile_of_z(z, n, *of_z_, shapes);
        kernels.scale(shapes, low_, width_, n, took);
    }
}

void Sampler::draw_some(const Kernels& kernels, const Stream& stream, std::uint64_t first_group,
                        std::span<const std::int32_t> chosen, double* took) const {
    const auto n = static_cast<Size>(chosen.size());
    if (form_ == Form::fixed) {
        std::fill_n(took, n, low_);
    } else if (form_ == Form::mixture) {
        for (Size k = 0; k < n; ++k)
            took[k] =
                one(stream, first_group * group + static_cast<std::uint64_t>(chosen[static_cast<std::size_t>(k)]));
    } else {
        alignas(64) std::uint32_t words[block] = {};
        some_words(kernels, stream, first_group, chosen, words);
        alignas(64) float shapes[block];
        switch (form_) {
            case Form::uniform: kernels.uniform_of(words, n, least_, most_, shapes); break;
            case Form::triangular: kernels.triangular_of(words, n, triangle_, shapes); break;
            case Form::table: kernels.quantile_of(words, n, *table_, shapes); break;
            default:
                for (Size k = 0; k < n; ++k) took[k] = at_word(words[k]);
                return;
        }
        kernels.scale(shapes, low_, width_, n, took);
    }
}

double Sampler::one(const Stream& stream, std::uint64_t trial) const {
    if (form_ == Form::fixed) return low_;
    if (form_ != Form::mixture) return at_word(word(stream, trial));
    const std::uint32_t chosen = word(choice_stream(stream), trial);
    std::size_t k = 0;
    while (chosen >= thresholds_[k]) ++k;
    return parts_[k].one(part_stream(stream, k), trial);
}

// Of a mixture: one word chooses the part, short ones first, and where within it the duration lies.
double Sampler::at_word(std::uint32_t w) const {
    if (form_ == Form::fixed) return low_;
    if (form_ == Form::empirical) return values_[index_below(w, values_.size())];
    if (form_ == Form::mixture) {
        double from = 0;
        for (const std::size_t k : by_length_) {
            const auto share = static_cast<double>(thresholds_[k] - (k == 0 ? 0 : thresholds_[k - 1]));
            if (w < from + share || k == by_length_.back())
                return parts_[k].at_word(
                    static_cast<std::uint32_t>(std::clamp((w - from) / share * 0x1p32, 0.0, 0x1p32 - 1)));
            from += share;
        }
    }
    const float shape = form_ == Form::table        ? looked_up(*table_, w)
                        : form_ == Form::triangular ? in_triangle(triangle_, w)
                                                    : std::min(least_ + (most_ - least_) * uniform_of(w), most_);
    return low_ + width_ * static_cast<double>(shape);
}

}  // namespace surgetank::sampling
