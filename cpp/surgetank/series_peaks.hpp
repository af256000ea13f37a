// Kernel `series`, peaks: the maxima of all windows of a series, highest first, without a rolling maximum.
//
// Method. A sample is the maximum of the windows around it that no larger sample covers. So the largest samples alone
// give the largest maxima and how many windows have them: to know the level that one window in a thousand exceeds, a
// handful of samples is looked at. Blocks of samples compete by their maxima, and are opened when their turn comes.
// Source: none known; the covering argument is that of the union of equal intervals.
// Cost: O(T) for the maxima of the blocks, then O(log T + window/64) a sample that is given; memory one value a block
// and one bit a sample.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::series {

/// A duration in samples: at least 1.
Index window_length(double duration_s, double step_s);

/// The largest of n values; −inf for none.
double largest(const double* x, Index n);

/// The maxima of blocks of `block` samples; the last ends where x ends, the first may be shorter.
std::vector<double> block_tops(std::span<const double> x, Index block);

/// Which windows of `length` samples count, and how many start before any sample.
class Windows {
public:
    /// All windows of a series without gaps.
    Windows(Index samples, Index length);
    /// Windows with at least `least` observed samples; x holds −inf where nothing was observed.
    Windows(std::span<const double> x, Index length, Index least);

    Index length() const { return length_; }
    Index count() const { return count(0, starts_ - 1); }
    /// How many windows that count start at first … last.
    Index count(Index first, Index last) const {
        if (last < first) return 0;
        if (before_.empty()) return last - first + 1;
        return before_[static_cast<std::size_t>(last) + 1] - before_[static_cast<std::size_t>(first)];
    }
    /// The possible starts: 0 … starts − 1.
    Index starts() const { return starts_; }

private:
    Index length_, starts_;
    std::vector<Index> before_;  // before_[t]: windows that count and start before t; empty: all count
};

/// Windows whose maximum is `level`: those that start at first … last, as far as they count.
struct Peak {
    double level = nan;
    Index first = 0, last = -1;
};

/// The maxima of all windows of a series, highest first, found from its largest samples alone.
class PeaksDescending {
public:
    /// x: −inf where nothing was observed; must outlive this.
    PeaksDescending(std::span<const double> x, Index window);
    /// The same where the maxima of blocks of that length are known, the last block ending where x ends.
    PeaksDescending(std::span<const double> x, Index window, Index block, std::span<const double> tops);
    /// The next group of windows, levels never rising; false when every window has been given.
    bool next(Peak& peak);

private:
    struct Entry {
        double value;
        Index at;  // a sample, or −1 − block
        bool operator<(const Entry& other) const { return value < other.value; }
    };
    void push(Entry entry);
    Index taken_before(Index p, Index least) const;
    Index taken_after(Index p, Index most) const;

    std::span<const double> x_;
    Index window_, block_, offset_;  // offset_: where the first block begins, 0 or below
    std::vector<Entry> heap_;
    std::vector<std::uint64_t> taken_;  // a bit for each sample given so far
};

/// Calls visit(first, last) for the stretches of window starts whose windows hold a sample above `level`, ascending and
/// disjoint. x: −inf where nothing was observed.
template <class Visit>
void windows_above(std::span<const double> x, Index window, double level, Visit&& visit) {
    const Index starts = static_cast<Index>(x.size()) - window + 1;
    Index first = 0, last = -1;
    for (Index p = 0; p < static_cast<Index>(x.size()); ++p) {
        if (!(x[static_cast<std::size_t>(p)] > level)) continue;
        const Index from = std::max<Index>(0, p - window + 1), to = std::min(p, starts - 1);
        if (from > last + 1) {
            if (last >= first) visit(first, last);
            first = from;
        }
        last = to;
    }
    if (last >= first) visit(first, last);
}

}  // namespace surgetank::series
