#include "surgetank/backtest_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "surgetank/cpu_kernels.hpp"

namespace surgetank::backtest {

SURGETANK_KERNELS

namespace {

std::size_t padded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

double total(const double (&lanes)[8]) { return std::accumulate(std::begin(lanes), std::end(lanes), 0.0); }

Excess nothing(double* each) {
    Excess out{};
    out.last_day = -1;
    out.each = each;
    return out;
}

}  // namespace

void Tracked::of(std::span<const double> x, std::span<const Index> kept) {
    constexpr std::size_t whole = in_block;
    const auto samples = static_cast<std::ptrdiff_t>(x.size());
    value_.resize(padded(x.size(), whole));
    if (kept.empty()) {
        std::copy(x.begin(), x.end(), value_.begin());
    } else {
        std::fill(value_.begin(), value_.end(), nan);
        for (const Index t : kept) value_[static_cast<std::size_t>(t)] = x[static_cast<std::size_t>(t)];
    }
    top_.resize(padded(value_.size() / whole, 8));
    kernels().tops(value_.data(), samples, top_.data(), nullptr);
    track_ = {value_.data(), top_.data(), samples};
    const auto missing = [](double value) { return std::isnan(value); };
    const auto end = value_.begin() + samples, until = std::find_if(value_.begin(), end, missing);
    until_ = until - value_.begin();
    summed_from_ = -1;
    seen_.clear();
    if (std::all_of(until, end, missing)) return;
    seen_.reserve(x.size() + 1);
    std::int32_t count = 0;
    seen_.push_back(count);
    std::for_each(value_.begin(), end, [&](double value) { seen_.push_back(count += !std::isnan(value)); });
}

Index Tracked::known(Index from, Index end) const {
    if (seen_.empty()) return std::max<Index>(0, std::min(end, until_) - from);
    return seen_[static_cast<std::size_t>(end)] - seen_[static_cast<std::size_t>(from)];
}

double Tracked::sum_from(Index from) const {
    if (summed_from_ == from) return sum_;
    const double sum = kernels().sum(track_.value, from, track_.size);
    if (summed_from_ < 0) {
        summed_from_ = from;
        sum_ = sum;
    }
    return sum;
}

void Books::of(const Demand& demand, std::span<const std::int32_t> days, std::span<const Index> moments) {
    usage.of(demand.usage());
    apart = !moments.empty() || demand.peak().data() != demand.usage().data();
    if (apart) peak.of(demand.peak(), moments);
    day = days;
}

Total::Total(const Books& books, double cvar_frac, std::vector<double>& each)
    : books_(books), kernels_(kernels()), cvar_frac_(cvar_frac), each_(each) {
    const auto room = static_cast<std::size_t>(books.usage.track().size) + 8;
    if (cvar_frac > 0 && each_.size() < room) each_.resize(room);
    own_ = nothing(books.apart || cvar_frac == 0 ? nullptr : each_.data());
    peak_ = nothing(cvar_frac == 0 ? nullptr : each_.data());
}

void Total::piece(Index from, Index end, double quota) {
    if (from >= end) return;
    if (from_ < 0) from_ = from;
    out_.last_quota = quota;
    const Track& usage = books_.usage.track();
    const Index known = books_.usage.known(from, end);
    out_.samples += known;
    out_.quota_sum += quota * static_cast<double>(known);
    kernels_.excess(usage, books_.day.data(), from, end, quota, own_);
    if (!books_.apart) return;
    const Index moments = books_.peak.known(from, end);
    out_.moments += moments;
    quota_moments_ += quota * static_cast<double>(moments);
    kernels_.excess(books_.peak.track(), books_.day.data(), from, end, quota, peak_);
}

void Total::request(Index, bool up) {
    const int direction = up ? 1 : -1;
    ++out_.requests;
    out_.reversals += direction_ == -direction;
    direction_ = direction;
}

Tally Total::tally() {
    if (from_ < 0) return out_;
    const Excess& peak = books_.apart ? peak_ : own_;
    const auto most = std::max_element(std::begin(peak.most), std::end(peak.most));
    const double used = books_.usage.sum_from(from_);
    out_.own_short = own_.count;
    out_.own_short_sum = total(own_.sum);
    out_.idle_sum = std::max(0.0, out_.quota_sum - used + out_.own_short_sum);
    out_.fails = peak.count;
    out_.short_sum = total(peak.sum);
    out_.max_short = *most;
    out_.failed_days = peak.days;
    if (books_.apart) {
        const double carried = books_.peak.sum_from(from_);
        out_.spare_sum = std::max(0.0, quota_moments_ - carried + out_.short_sum);
    } else {
        out_.moments = out_.samples;
        out_.spare_sum = out_.idle_sum;
    }
    const auto tail = static_cast<Index>(std::ceil(cvar_frac_ * static_cast<double>(out_.moments)));
    if (cvar_frac_ == 0 || tail == 0) return out_;
    out_.tail_sum = out_.short_sum;
    if (peak.count > tail) {
        const auto begin = each_.begin(), end = begin + peak.count, middle = begin + tail;
        std::nth_element(begin, middle - 1, end, std::greater<>());
        out_.tail_sum = std::accumulate(begin, middle, 0.0);
    }
    return out_;
}

ByBlock::ByBlock(const Books& books, Index first, Index block, std::span<BlockTally> out)
    : books_(books), kernels_(kernels()), first_(first), block_(block), out_(out) {}

void ByBlock::piece(Index from, Index end, double quota) {
    while (from < end) {
        const Index number = (from - first_) / block_;
        const Index until = std::min(end, first_ + (number + 1) * block_);
        BlockTally& out = out_[static_cast<std::size_t>(number)];
        const Track& usage = books_.usage.track();
        const Index known = books_.usage.known(from, until);
        Excess own = nothing(nullptr), peak = own;
        kernels_.excess(usage, books_.day.data(), from, until, quota, own);
        const double over = total(own.sum), used = kernels_.sum(usage.value, from, until);
        out.samples += known;
        out.own_short_sum += over;
        const double idle = quota * static_cast<double>(known) - used + over;
        out.idle_sum += idle < 0 ? 0 : idle;  // NaN stays: a sum that double does not hold
        if (books_.apart) kernels_.excess(books_.peak.track(), books_.day.data(), from, until, quota, peak);
        out.moments += books_.apart ? books_.peak.known(from, until) : known;
        out.fails += books_.apart ? peak.count : own.count;
        out.short_sum += books_.apart ? total(peak.sum) : over;
        from = until;
    }
}

void ByBlock::request(Index at, bool) {
    ++out_[static_cast<std::size_t>(std::max<Index>(0, at - first_) / block_)].requests;
}

}  // namespace surgetank::backtest
