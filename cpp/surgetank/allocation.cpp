#include "surgetank/allocation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "surgetank/allocation_solver.hpp"
#include "surgetank/parallel.hpp"
#include "surgetank/transport.hpp"

namespace surgetank {
namespace {

using allocation::Cut;
using allocation::Cuts;
using allocation::FailureSets;
using allocation::Service;

// Small services take a microsecond: a job is worth its while from some dozens on.
constexpr Index most_per_job = 64;

void check_shape(bool fits, std::string_view argument, Index rows, Index cols, Index services, Index regions) {
    require(fits, argument, fmt::format("must have {} services x {} Regions", services, regions),
            fmt::format("shape ({}, {})", rows, cols));
}

enum class May { finite, be_missing, be_unbounded, be_share };

template <class Values>
void check_values(const Values& values, std::string_view argument, May may) {
    const std::string_view rule = may == May::be_share       ? "must lie in [0, 1]"
                                  : may == May::be_unbounded ? "must be 0 or more"
                                  : may == May::be_missing   ? "must be finite and 0 or more, or NaN for not observed"
                                                             : "must be finite and 0 or more";
    const double most = may == May::be_share ? 1 : may == May::be_unbounded ? inf : std::numeric_limits<double>::max();
    for (Index j = 0; j < values.cols(); ++j)
        for (Index i = 0; i < values.rows(); ++i) {
            const double v = values(i, j);
            if (!(v >= 0 && v <= most) && !(may == May::be_missing && std::isnan(v))) require(false, argument, rule, v);
        }
}

Index check(const Demand& demand) {
    const Index services = demand.critical.size();
    require(services > 0 && demand.load.rows() > 0, "load", "must hold at least one service at one moment",
            fmt::format("{} services, {} moments", services, demand.load.rows()));
    const Index width = demand.load.cols(), regions = width / services;
    require(regions >= 2 && regions * services == width, "load", "must have at least two Regions for every service",
            fmt::format("shape ({}, {})", demand.load.rows(), width));
    check_shape(demand.existing.cols() == width &&
                    (demand.existing.rows() == 1 || demand.existing.rows() == demand.load.rows()),
                "existing", demand.existing.rows(), demand.existing.cols(), services, regions);
    for (const auto& [values, name] : {std::pair{&demand.reserved, "reserved"},
                                       {&demand.multiplier, "multiplier"},
                                       {&demand.cost, "cost"},
                                       {&demand.raisable, "raisable"}})
        check_shape(values->size() == width, name, values->size(), 1, services, regions);
    check_shape(demand.share.cols() == regions && (demand.share.rows() == regions || demand.share.rows() == width),
                "share", demand.share.rows(), demand.share.cols(), services, regions);
    check_values(demand.load, "load", May::be_missing);
    for (Index j = 0; j < width; ++j)
        for (Index i = 0; i < demand.existing.rows(); ++i)
            require(demand.existing(i, j) != -inf, "existing", "must not be -inf", demand.existing(i, j));
    check_values(demand.reserved, "reserved", May::finite);
    check_values(demand.multiplier, "multiplier", May::finite);
    check_values(demand.critical, "critical", May::be_share);
    check_values(demand.cost, "cost", May::finite);
    check_values(demand.raisable, "raisable", May::be_unbounded);
    check_values(demand.share, "share", May::be_share);
    return regions;
}

void check(const Failures& failures, Index regions) {
    if (failures.sets.empty()) {
        require(failures.any >= 1 && failures.any < regions, "failures",
                fmt::format("must be 1 to {} of {} Regions", regions - 1, regions), failures.any);
        require(failures.any <= 3, "failures", "of any k Regions must be 1, 2 or 3", failures.any);
    }
    for (const auto& set : failures.sets) {
        require(!set.empty() && static_cast<Index>(set.size()) < regions, "failures",
                fmt::format("must leave at least one of {} Regions, and take one", regions), set.size());
        for (std::size_t i = 0; i < set.size(); ++i) {
            require(set[i] >= 0 && set[i] < regions, "failures", fmt::format("must be Regions 0 to {}", regions - 1),
                    set[i]);
            require(i == 0 || set[i] > set[i - 1], "failures", "must be different Regions, ascending", set[i]);
        }
    }
}

}  // namespace

void Bindings::add(const Bindings& others) {
    for (Index i = 0; i < others.size(); ++i) {
        failed.add(others.failed[i]);
        sources.add(others.sources[i]);
        full.add(others.full[i]);
    }
    service.insert(service.end(), others.service.begin(), others.service.end());
    moment.insert(moment.end(), others.moment.begin(), others.moment.end());
    weight.insert(weight.end(), others.weight.begin(), others.weight.end());
    need.insert(need.end(), others.need.begin(), others.need.end());
}

namespace allocation {

void read(const Demand& demand, Index s, Service& out) {
    const Index n = out.regions, first = s * n;
    const bool moving = demand.existing.rows() > 1;
    out.when.clear(), out.load.clear(), out.room.clear();
    for (Index t = 0; t < demand.load.rows(); ++t) {
        bool observed = true;
        for (Index r = 0; r < n; ++r)
            observed = observed && !std::isnan(demand.load(t, first + r)) &&
                       !std::isnan(demand.existing(moving ? t : 0, first + r));
        if (!observed) continue;
        out.when.push_back(t);
        for (Index r = 0; r < n; ++r) {
            const double load = demand.load(t, first + r), critical = demand.critical[s];
            out.load.push_back(critical * demand.multiplier[first + r] * load);
            out.room.push_back(demand.existing(moving ? t : 0, first + r) - demand.reserved[first + r] +
                               (1 - critical) * load);
        }
    }
    out.moments = static_cast<Index>(out.when.size());
    require(out.moments > 0, "load", "must have a moment at which every Region of a service is observed",
            fmt::format("service {}: none", s));
    const double all = std::accumulate(out.load.begin(), out.load.end(), 0.0);
    if (!(all < 1e150)) throw NumericalFailure(fmt::format("load: its sum is beyond double precision (service {})", s));
    out.take.resize(static_cast<std::size_t>(n * n));
    const Index top = demand.share.rows() > n ? first : 0;
    for (Index r = 0; r < n; ++r)
        for (Index from = 0; from < n; ++from)
            out.take[static_cast<std::size_t>(r * n + from)] = r == from ? 0 : demand.share(top + from, r);
}

}  // namespace allocation

Allocated allocate(const Demand& demand, const Failures& failures, const AllocationOptions& options, const Poll& poll) {
    const Index regions = check(demand);
    check(failures, regions);
    require(options.unplaced >= 0 && options.unplaced < 1, "unplaced", "must be a share in [0, 1)", options.unplaced);
    require(options.alpha >= 0 && options.alpha < 1, "alpha", "must be in [0, 1)", options.alpha);
    const Index services = demand.critical.size();
    const Index asked = check_threads(options.threads, services);
    const Index per_job = std::clamp<Index>(services / (4 * asked), 1, most_per_job);
    const Index jobs = (services + per_job - 1) / per_job;
    const Index threads = check_threads(asked, jobs);
    const FailureSets sets(failures, regions);
    Allocated out;
    for (auto* matrix : {&out.headroom, &out.price, &out.raise_price, &out.owed, &out.over})
        matrix->setZero(regions, services);
    for (auto* each : {&out.cost, &out.peaks_cost, &out.unplaced, &out.bound, &out.gap, &out.excess})
        each->setZero(services);
    for (auto* each : {&out.cuts, &out.steps, &out.moments}) each->setZero(services);
    out.feasible.setConstant(services, true);
    out.broken.resize(static_cast<std::size_t>(services));
    std::vector<std::optional<allocation::Solver>> solvers(static_cast<std::size_t>(threads));
    std::vector<Bindings> found(static_cast<std::size_t>(jobs));
    parallel(jobs, threads, poll, [&](Index worker, Index job, const Poll& polled) {
        auto& solver = solvers[static_cast<std::size_t>(worker)];
        if (!solver) solver.emplace(sets, regions, options);
        const Index end = std::min(services, (job + 1) * per_job);
        for (Index s = job * per_job; s < end; ++s)
            solver->solve(demand, s, out, found[static_cast<std::size_t>(job)], polled);
    });
    if (jobs == 1) out.binding = std::move(found.front());
    else
        for (const Bindings& some : found) out.binding.add(some);
    return out;
}

namespace {

// Where most stays unplaced; if nothing does, where the load is the largest part of the room.
Index tightest_moment(const Service& given, Cuts& cuts, const std::vector<Index>& failed, std::span<const double> h) {
    const Index n = given.regions;
    Cut cut;
    Index tightest = 0;
    double most_missing = 0, most_full = -1;
    for (Index t = 0; t < given.moments; ++t) {
        cuts.of(failed, t, h, cut);
        const double missing = cut.missing > 1e-12 * cut.load ? cut.missing : 0;
        double load = 0, room = 0;
        for (const Index f : failed) load += given.load[static_cast<std::size_t>(t * n + f)];
        for (Index r = 0; r < n; ++r) {
            const auto sends = [&](Index f) { return given.take[static_cast<std::size_t>(r * n + f)] > 0; };
            if (std::ranges::find(failed, r) == failed.end() && std::ranges::any_of(failed, sends))
                room += std::max(0.0, given.room[static_cast<std::size_t>(t * n + r)] + h[static_cast<std::size_t>(r)]);
        }
        const double full = load == 0 ? 0 : load / std::max(room, 1e-300);
        if (missing < most_missing || (missing == most_missing && full <= most_full)) continue;
        tightest = t, most_missing = missing, most_full = full;
    }
    return tightest;
}

}  // namespace

std::vector<Transfers> transfers(const Demand& demand, const Column& headroom, Index service,
                                 const std::vector<std::vector<Index>>& failed) {
    const Index n = check(demand);
    if (failed.empty()) return {};
    check(Failures{0, failed}, n);
    require(service >= 0 && service < demand.critical.size(), "service", "must be one of those given", service);
    require(headroom.size() == demand.load.cols(), "headroom", "must have the shape of one instant of load",
            headroom.size());
    check_values(headroom, "headroom", May::finite);
    const FailureSets sets(Failures{0, failed}, n);
    Service given;
    given.regions = n;
    read(demand, service, given);
    std::vector<double> h(static_cast<std::size_t>(n));
    for (Index r = 0; r < n; ++r) h[static_cast<std::size_t>(r)] = headroom[service * n + r];
    Cuts cuts(sets, n);
    cuts.reset(given);
    std::vector<Transfers> out;
    for (const auto& set : failed) {
        const Index tightest = tightest_moment(given, cuts, set, h);
        const auto m = static_cast<Index>(set.size());
        const double* const load = given.load.data() + tightest * n;
        Eigen::ArrayXd loads(m), room(n);
        Eigen::ArrayXXd limit(m, n);
        double all = 0;
        for (Index i = 0; i < m; ++i) all += loads[i] = load[set[static_cast<std::size_t>(i)]];
        for (Index r = 0; r < n; ++r) {
            room[r] = std::clamp(
                given.room[static_cast<std::size_t>(tightest * n + r)] + h[static_cast<std::size_t>(r)], 0.0, all);
            for (Index i = 0; i < m; ++i)
                limit(i, r) = given.take[static_cast<std::size_t>(r * n + set[static_cast<std::size_t>(i)])] * loads[i];
        }
        for (const Index f : set) room[f] = 0;
        const Placed placed = place(loads, room, limit);
        Transfers& result = out.emplace_back();
        result.flow = Eigen::ArrayXXd::Zero(n, n);
        for (Index i = 0; i < m; ++i) result.flow.row(set[static_cast<std::size_t>(i)]) = placed.flow.row(i);
        result.unplaced = placed.unplaced;
        result.moment = given.when[static_cast<std::size_t>(tightest)];
    }
    return out;
}

}  // namespace surgetank
