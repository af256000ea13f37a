#include "surgetank/allocation_event.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace surgetank {
namespace {

struct Taker {
    Index region;
    double weight, limit, taken;
    double full_at;  // the share of the need for a whole weight at which it is full
};

// Smallest multiple of the need's last binary digit: sums of such multiples up to the need are exact.
double grain_of(double need) { return std::nextafter(need, inf) - need; }

double floor_to(double value, double grain) { return std::floor(value / grain) * grain; }

// Proportional to weight, none above its limit: those that would be filled first are filled first.
void fill(std::vector<Taker>& takers, double need) {
    std::ranges::sort(takers, [](const Taker& a, const Taker& b) {
        return a.full_at < b.full_at || (a.full_at == b.full_at && a.region < b.region);
    });
    // Weights from the last to each: sums, never differences, so that a small one beside a large one is not lost.
    std::vector<double> rest(takers.size() + 1, 0.0);
    for (std::size_t i = takers.size(); i-- > 0;) rest[i] = rest[i + 1] + takers[i].weight;
    double left = need;
    std::size_t i = 0;
    for (; i < takers.size() && left * (takers[i].weight / rest[i]) >= takers[i].limit; ++i) {
        takers[i].taken = takers[i].limit;
        left = std::max(0.0, left - takers[i].limit);
    }
    for (std::size_t j = i; j < takers.size(); ++j)
        takers[j].taken = std::min(takers[j].limit, left * (takers[j].weight / rest[i]));
}

}  // namespace

void check(const ProportionalOptions& options) {
    require(options.share_cap > 0 && options.share_cap <= 1, "share_cap", "must be a share in (0, 1]",
            options.share_cap);
    require(options.room_cap >= 0 && options.room_cap <= 1, "room_cap", "must be a share in [0, 1]", options.room_cap);
}

Shared share_out(const Column& need, const Samples& free, const Samples& preference,
                 const ProportionalOptions& options) {
    check(options);
    const Index services = need.size(), regions = free.cols();
    require(free.rows() == services, "free", fmt::format("must have {} services", services), free.rows());
    require(preference.rows() == services && preference.cols() == regions, "preference", "must have the shape of free",
            fmt::format("shape ({}, {})", preference.rows(), preference.cols()));
    Shared out{Eigen::ArrayXXd::Zero(services, regions), Eigen::ArrayXd::Zero(services)};
    std::vector<Taker> takers;
    for (Index s = 0; s < services; ++s) {
        require(need[s] >= 0 && need[s] < 1e300, "need", "must be finite and 0 or more", need[s]);
        takers.clear();
        const double grain = grain_of(need[s]);
        double largest = 0;
        for (Index r = 0; r < regions; ++r) {
            const double f = free(s, r), p = preference(s, r);
            require(f >= 0, "free", "must be 0 or more", f);
            require(p >= 0 && p < inf, "preference", "must be finite and 0 or more", p);
            // More than the need is as good as the need for the limit, but the share goes by all that is usable.
            const double usable = options.room_cap * std::min(f, 1e300);
            // A share cap is rounded up, so that caps which add up to all of the need do so; room never is.
            const double cap = std::min(std::ceil(options.share_cap * need[s] / grain) * grain, need[s]);
            const double limit = std::min(floor_to(std::min(usable, need[s]), grain), cap);
            if (!(p > 0 && limit > 0)) continue;
            largest = std::max(largest, p);
            takers.push_back({r, usable, limit, 0, 0});
        }
        double most = 0;  // weights relative to the largest, so that their products stay in range
        for (Taker& t : takers) most = std::max(most, t.weight);
        for (Taker& t : takers) {
            t.weight = std::max(t.weight / most * (preference(s, t.region) / largest), 1e-300);
            t.full_at = t.limit / need[s] / t.weight;
        }
        fill(takers, need[s]);
        double left = need[s];
        for (Taker& t : takers) left -= t.taken = floor_to(t.taken, grain);
        for (Taker& t : takers) {  // what rounding down has left, a few grains
            const double more = std::min(left, t.limit - t.taken);
            t.taken += more, left -= more;
            out.taken(s, t.region) = t.taken;
        }
        out.shortfall[s] = left;
    }
    return out;
}

}  // namespace surgetank
