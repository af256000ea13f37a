#include "surgetank/series_peaks.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace surgetank::series {

Index window_length(double duration_s, double step_s) {
    return static_cast<Index>(std::clamp(std::round(duration_s / step_s), 1.0, 1e15));
}

double largest(const double* x, Index n) {
    double a = -inf, b = -inf, c = -inf, d = -inf;  // four chains, so that one comparison need not wait for another
    Index i = 0;
    for (; i + 4 <= n; i += 4) {
        a = x[i] > a ? x[i] : a;
        b = x[i + 1] > b ? x[i + 1] : b;
        c = x[i + 2] > c ? x[i + 2] : c;
        d = x[i + 3] > d ? x[i + 3] : d;
    }
    for (; i < n; ++i) a = x[i] > a ? x[i] : a;
    return std::max(std::max(a, b), std::max(c, d));
}

// The maxima of blocks of `block` samples; the last ends where x ends, the first may be shorter.
std::vector<double> block_tops(std::span<const double> x, Index block) {
    const auto samples = static_cast<Index>(x.size());
    const Index count = (samples + block - 1) / block, offset = samples - count * block;
    std::vector<double> tops(static_cast<std::size_t>(count));
    for (Index b = 0; b < count; ++b) {
        const Index first = std::max<Index>(0, offset + b * block);
        tops[static_cast<std::size_t>(b)] = largest(x.data() + first, offset + (b + 1) * block - first);
    }
    return tops;
}

Windows::Windows(Index samples, Index length) : length_(length), starts_(std::max<Index>(0, samples - length + 1)) {}

Windows::Windows(std::span<const double> x, Index length, Index least) : Windows(static_cast<Index>(x.size()), length) {
    before_.assign(static_cast<std::size_t>(starts_) + 1, 0);
    Index observed = 0;
    for (Index t = 0; t < static_cast<Index>(x.size()); ++t) {
        observed += x[static_cast<std::size_t>(t)] > -inf;
        if (t >= length) observed -= x[static_cast<std::size_t>(t - length)] > -inf;
        if (const Index start = t - length + 1; start >= 0)
            before_[static_cast<std::size_t>(start) + 1] =
                before_[static_cast<std::size_t>(start)] + (observed >= least);
    }
}

PeaksDescending::PeaksDescending(std::span<const double> x, Index window)
    : PeaksDescending(x, window, 16, block_tops(x, 16)) {}

PeaksDescending::PeaksDescending(std::span<const double> x, Index window, Index block, std::span<const double> tops)
    : x_(x),
      window_(window),
      block_(block),
      offset_(static_cast<Index>(x.size()) - static_cast<Index>(tops.size()) * block) {
    taken_.assign(x.size() / 64 + 1, 0);
    heap_.reserve(tops.size() + 4 * static_cast<std::size_t>(block));
    for (std::size_t b = 0; b < tops.size(); ++b)
        if (tops[b] > -inf) heap_.push_back({tops[b], -1 - static_cast<Index>(b)});
    std::make_heap(heap_.begin(), heap_.end());
}

void PeaksDescending::push(Entry entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end());
}

// The last sample given before p and not before `least`; −1: none.
Index PeaksDescending::taken_before(Index p, Index least) const {
    for (Index word = p / 64; word >= least / 64; --word) {
        std::uint64_t bits = taken_[static_cast<std::size_t>(word)];
        if (word == p / 64) bits &= (std::uint64_t{1} << (p % 64)) - 1;
        if (bits == 0) continue;
        const Index found = word * 64 + 63 - std::countl_zero(bits);
        return found >= least ? found : -1;
    }
    return -1;
}

// The first sample given after p and not after `most`; −1: none.
Index PeaksDescending::taken_after(Index p, Index most) const {
    for (Index word = p / 64; word <= most / 64; ++word) {
        std::uint64_t bits = taken_[static_cast<std::size_t>(word)];
        if (word == p / 64) bits &= ~(((std::uint64_t{1} << (p % 64)) << 1) - 1);
        if (bits == 0) continue;
        const Index found = word * 64 + std::countr_zero(bits);
        return found <= most ? found : -1;
    }
    return -1;
}

bool PeaksDescending::next(Peak& peak) {
    const auto samples = static_cast<Index>(x_.size());
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end());
        const Entry top = heap_.back();
        heap_.pop_back();
        if (top.at < 0) {  // a block: its samples compete from now on
            const Index end = offset_ + -top.at * block_;
            for (Index p = std::max<Index>(0, end - block_); p < end; ++p)
                if (const double u = x_[static_cast<std::size_t>(p)]; u > -inf) push({u, p});
            continue;
        }
        // The windows around this sample that no larger one covers: only larger samples within a window matter.
        const Index p = top.at;
        Index first = std::max<Index>(0, p - window_ + 1), last = std::min(p, samples - window_);
        first = std::max(first, taken_before(p, first) + 1);
        if (const Index after = taken_after(p, std::min(p + window_, samples) - 1); after >= 0)
            last = std::min(last, after - window_);
        if (last < first) continue;
        taken_[static_cast<std::size_t>(p / 64)] |= std::uint64_t{1} << (p % 64);
        peak = {top.value, first, last};
        return true;
    }
    return false;
}

}  // namespace surgetank::series
