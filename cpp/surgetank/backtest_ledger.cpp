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

// By halves: sums that do not wait for one another.
double total(const double (&lanes)[16]) {
    double sum[8];
    for (int k = 0; k < 8; ++k) sum[k] = lanes[k] + lanes[k + 8];
    for (int half = 4; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) sum[k] += sum[k + half];
    return sum[0];
}

Excess nothing(double* each) {
    Excess out{};
    out.last_day = -1;
    out.each = each;
    return out;
}

}  // namespace

void Tracked::of(std::span<const double> x, std::span<const Index> kept) {
    copy_.assign(padded(x.size(), in_block), nan);
    for (const Index t : kept) copy_[static_cast<std::size_t>(t)] = x[static_cast<std::size_t>(t)];
    of(copy_, static_cast<Index>(x.size()));
}

void Tracked::of(std::span<double> blocks, Index samples) {
    top_.resize(padded(blocks.size() / in_block, 8));
    kernels().tops(blocks.data(), samples, top_.data(), nullptr);
    track_ = {blocks.data(), top_.data(), samples};
    const auto missing = [](double value) { return std::isnan(value); };
    const auto x = blocks.first(static_cast<std::size_t>(samples));
    const auto until = std::find_if(x.begin(), x.end(), missing);
    until_ = until - x.begin();
    summed_from_ = -1;
    seen_.clear();
    if (std::all_of(until, x.end(), missing)) return;
    seen_.reserve(x.size() + 1);
    std::int32_t count = 0;
    seen_.push_back(count);
    for (const double value : x) seen_.push_back(count += !std::isnan(value));
}

Index Tracked::known(Index from, Index end) const {
    if (seen_.empty()) return std::max<Index>(0, std::min(end, until_) - from);
    return seen_[static_cast<std::size_t>(end)] - seen_[static_cast<std::size_t>(from)];
}

double Tracked::sum_from(Index from) const {
    if (summed_from_ != from) sum_ = kernels().sum(track_.value, from, track_.size);
    summed_from_ = from;
    return sum_;
}

void Books::of(Demand& demand, const Days& in_days, std::span<const Index> moments) {
    const auto samples = static_cast<Index>(demand.usage().size());
    usage.of(demand.usage_blocks(), samples);
    apart = demand.lands() || !moments.empty();
    if (!moments.empty()) peak.of(demand.peak(), moments);
    else if (apart) peak.of(demand.peak_blocks(), samples);
    days = in_days;
}

void Total::of(const Books& books, double cvar_frac) {
    books_ = &books;
    cvar_frac_ = cvar_frac;
    states_.clear();
    last_ = {};
    const auto room = static_cast<std::size_t>(books.usage.track().size);
    if (cvar_frac > 0 && each_.size() < room) each_.resize(room);
}

// From sample `from` of the piece on.
void Total::add(const Piece& piece, Index from, State& to) const {
    const Kernels& kernel = kernels();
    kernel.excess(books_->usage.track(), books_->days, from, piece.end, piece.quota, to.own);
    if (books_->apart) kernel.excess(books_->peak.track(), books_->days, from, piece.end, piece.quota, to.peak);
}

Tally Total::operator()(const Trail& trail) {
    if (trail.pieces.empty()) return {};
    if (trail.same == trail.pieces.size()) return last_;
    last_ = {};
    Tally& out = last_;
    states_.resize(trail.pieces.size());
    for (std::size_t k = trail.same; k < trail.pieces.size(); ++k) {
        const Piece& piece = trail.pieces[k];
        const bool parts = k == trail.same && trail.until >= 0;
        State& here = states_[k];
        if (!parts && k == 0) {
            here.own = nothing(books_->apart || cvar_frac_ == 0 ? nullptr : each_.data());
            here.peak = nothing(cvar_frac_ == 0 ? nullptr : each_.data());
        } else if (!parts) {
            here.own = states_[k - 1].own;
            here.peak = states_[k - 1].peak;
        }
        add(piece, parts ? trail.until : piece.from, here);
        const Index known = books_->usage.known(piece.from, piece.end);
        const Index moments = books_->apart ? books_->peak.known(piece.from, piece.end) : known;
        here.samples = (k == 0 ? 0 : states_[k - 1].samples) + known;
        here.moments = (k == 0 ? 0 : states_[k - 1].moments) + moments;
        here.quota_sum = (k == 0 ? 0 : states_[k - 1].quota_sum) + piece.quota * static_cast<double>(known);
        here.quota_moments = (k == 0 ? 0 : states_[k - 1].quota_moments) + piece.quota * static_cast<double>(moments);
    }
    const State& end = states_[trail.pieces.size() - 1];
    const Excess& peak = books_->apart ? end.peak : end.own;
    const Index from = trail.pieces.front().from;
    out.samples = end.samples;
    out.own_short = end.own.count;
    out.own_short_sum = total(end.own.sum);
    out.quota_sum = end.quota_sum;
    out.last_quota = trail.pieces.back().quota;
    // Where every sample is above its quota nothing is idle, and the sums would leave a rounding.
    const double idle = end.quota_sum - books_->usage.sum_from(from) + out.own_short_sum;
    out.idle_sum = out.own_short == out.samples && std::isfinite(idle) ? 0 : std::max(0.0, idle);
    out.moments = end.moments;
    out.fails = peak.count;
    out.failed_days = peak.days;
    out.short_sum = total(peak.sum);
    out.max_short = *std::max_element(std::begin(peak.most), std::end(peak.most));
    out.spare_sum =
        books_->apart ? std::max(0.0, end.quota_moments - books_->peak.sum_from(from) + out.short_sum) : out.idle_sum;
    out.tail_sum = tail_of(peak, out.moments);
    int direction = 0;
    for (const Piece& piece : trail.pieces) {
        if (piece.asked < 0) continue;
        ++out.requests;
        out.reversals += direction == (piece.up ? -1 : 1);
        direction = piece.up ? 1 : -1;
    }
    return out;
}

// Σ of the largest cvar_frac of the shortfalls.
double Total::tail_of(const Excess& peak, Index moments) {
    const auto tail = static_cast<Index>(std::ceil(cvar_frac_ * static_cast<double>(moments)));
    if (tail == 0) return 0;
    if (peak.count <= tail) return total(peak.sum);
    // A copy is put in order: the next policy may go on from these.
    worst_.assign(each_.begin(), each_.begin() + peak.count);
    const auto middle = worst_.begin() + tail;
    std::nth_element(worst_.begin(), middle - 1, worst_.end(), std::greater<>());
    return std::accumulate(worst_.begin(), middle, 0.0);
}

void ByBlock::of(const Books& books, Index first, Index block) {
    books_ = &books;
    first_ = first;
    block_ = block;
}

void ByBlock::operator()(std::span<const Piece> pieces, std::span<BlockTally> out) const {
    std::fill(out.begin(), out.end(), BlockTally{});
    for (const Piece& piece : pieces) {
        if (piece.asked >= 0)
            ++out[static_cast<std::size_t>(std::max<Index>(0, piece.asked - first_) / block_)].requests;
        add(piece, out);
    }
}

void ByBlock::add(const Piece& piece, std::span<BlockTally> tallies) const {
    const Kernels& kernel = kernels();
    const double quota = piece.quota;
    for (Index from = piece.from; from < piece.end;) {
        const Index number = (from - first_) / block_;
        const Index until = std::min(piece.end, first_ + (number + 1) * block_);
        BlockTally& out = tallies[static_cast<std::size_t>(number)];
        const Track& usage = books_->usage.track();
        const Index known = books_->usage.known(from, until);
        Excess own = nothing(nullptr), peak = own;
        kernel.excess(usage, books_->days, from, until, quota, own);
        const double over = total(own.sum), used = kernel.sum(usage.value, from, until);
        out.samples += known;
        out.own_short_sum += over;
        const double idle = quota * static_cast<double>(known) - used + over;
        out.idle_sum += idle < 0 ? 0 : idle;  // NaN stays: a sum that double does not hold
        if (books_->apart) kernel.excess(books_->peak.track(), books_->days, from, until, quota, peak);
        out.moments += books_->apart ? books_->peak.known(from, until) : known;
        out.fails += books_->apart ? peak.count : own.count;
        out.short_sum += books_->apart ? total(peak.sum) : over;
        from = until;
    }
}

}  // namespace surgetank::backtest
