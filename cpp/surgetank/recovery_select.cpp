// Exact order statistics without keeping the trials: they are drawn again and again, and each time the interval in
// which a rank lies is divided into 4,096 parts, until few are left in it, which are kept.
#include <algorithm>
#include <bit>

#include "surgetank/recovery.hpp"
#include "surgetank/recovery_loop.hpp"

namespace surgetank {
namespace {

using recovery::Trials;
using sampling::Size;

constexpr int part_bits = 12;
constexpr std::uint64_t parts = 1 << part_bits, few = 1 << 12;

// Times are not negative, and so are ordered as their bits are.
std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }

struct Search {
    std::uint64_t rank;     // among those in [low, low + 2^width)
    std::uint64_t low = 0;  // bits
    int width = 63;
    std::uint64_t inside = ~std::uint64_t{0};
    bool found = false;
    double value = 0;

    std::uint64_t part_of(std::uint64_t b) const { return (b - low) >> std::max(0, width - part_bits); }
    bool holds(std::uint64_t b) const { return b >= low && ((b - low) >> width) == 0; }
};

}  // namespace

std::vector<double> RecoveryModel::select(const RecoveryRun& run, const RecoveryCapacity* capacity, Index clock,
                                          const std::vector<std::uint64_t>& ranks, const Poll& poll) const {
    recovery::check(run, graph_, capacity);
    const Index clocks = 1 + (graph_.detection >= 0) + (graph_.declaration >= 0);
    const Index points = graph_.stores.empty() ? 0 : static_cast<Index>(graph_.stores.size()) + 1;
    require(clock >= 0 && clock < clocks + points, "clock", "must be one that is there", clock);
    std::vector<Search> searches;
    for (const std::uint64_t rank : ranks) {
        require(rank < run.trials, "ranks", "must be below the number of trials", rank);
        searches.push_back({rank});
    }
    const auto threads = static_cast<std::size_t>(recovery::workers(run));
    const auto open = [&] { return std::ranges::any_of(searches, [](const Search& s) { return !s.found; }); };
    while (open()) {
        std::vector<std::vector<std::vector<std::uint64_t>>> counts(threads), kept(threads);
        for (std::size_t w = 0; w < threads; ++w) {
            counts[w].resize(searches.size()), kept[w].resize(searches.size());
            for (std::size_t k = 0; k < searches.size(); ++k)
                if (!searches[k].found && searches[k].inside > few) counts[w][k].assign(parts, 0);
        }
        recovery::each_block(
            *this, run, capacity, poll, [&](Index worker, Trials& trials, std::uint64_t, Size from, Size to) {
                const auto w = static_cast<std::size_t>(worker);
                const double* const at = clock < clocks ? trials.clock(static_cast<std::size_t>(clock))
                                                        : trials.point(static_cast<std::size_t>(clock - clocks));
                for (std::size_t k = 0; k < searches.size(); ++k) {
                    const Search& s = searches[k];
                    if (s.found) continue;
                    for (Size i = from; i < to; ++i) {
                        const std::uint64_t b = bits(at[i] < sampling::longest_s ? at[i] : inf);
                        if (!s.holds(b)) continue;
                        if (s.inside > few) ++counts[w][k][s.part_of(b)];
                        else kept[w][k].push_back(b);
                    }
                }
            });
        for (std::size_t k = 0; k < searches.size(); ++k) {
            Search& s = searches[k];
            if (s.found) continue;
            if (s.inside <= few) {
                std::vector<std::uint64_t> all;
                for (std::size_t w = 0; w < threads; ++w) all.insert(all.end(), kept[w][k].begin(), kept[w][k].end());
                if (s.rank >= all.size()) throw NumericalFailure("select: trials were not drawn the same again");
                std::ranges::nth_element(all, all.begin() + static_cast<std::ptrdiff_t>(s.rank));
                s.value = std::bit_cast<double>(all[s.rank]);
                s.found = true;
                continue;
            }
            for (std::size_t w = 1; w < threads; ++w)
                for (std::size_t part = 0; part < parts; ++part) counts[0][k][part] += counts[w][k][part];
            std::uint64_t part = 0;
            for (; part + 1 < parts && s.rank >= counts[0][k][part]; ++part) s.rank -= counts[0][k][part];
            const int left = std::max(0, s.width - part_bits);
            s.inside = counts[0][k][part];
            s.low += part << left;
            s.width = left;
            if (left == 0) s.value = std::bit_cast<double>(s.low), s.found = true;
        }
    }
    std::vector<double> out;
    for (const Search& s : searches) out.push_back(s.value);
    return out;
}

}  // namespace surgetank
