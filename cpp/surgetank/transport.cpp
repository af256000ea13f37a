#include "surgetank/transport.hpp"

#include <algorithm>
#include <cmath>

namespace surgetank {
namespace {

class Network {
public:
    Network(const Column& load, const Column& room, const Eigen::Ref<const Eigen::ArrayXXd>& limit)
        : sources_(load.size()),
          targets_(room.size()),
          left_(load),
          room_(room),
          given_(limit),
          // No way carries more than its ends: what is left of one is then judged by what could ever flow.
          limit_(limit.min(load.replicate(1, targets_)).min(room.transpose().replicate(sources_, 1))),
          load_(load),
          all_room_(room),
          flow_(Eigen::ArrayXXd::Zero(sources_, targets_)),
          from_(static_cast<std::size_t>(sources_ + targets_)) {
        for (Index s = 0; s < sources_; ++s) start(s);
    }

    void augment() {
        for (Index end = search(); end >= 0; end = search()) push(end);
    }

    Placed result() && {
        Placed out;
        out.unplaced = left_.sum();
        if (out.unplaced > 0)
            for (Index s = 0; s < sources_; ++s)
                if (from_[static_cast<std::size_t>(s)] != unseen) out.together.push_back(s);
        out.flow = std::move(flow_);
        return out;
    }

private:
    static constexpr Index unseen = -2, root = -1;
    static constexpr double rounding = 1e-14;  // of a load, a room or a limit: less than that is none

    void take(Index s, double amount) {
        left_[s] -= amount;
        if (left_[s] <= rounding * load_[s]) left_[s] = 0;
    }

    // Each target takes its part in proportion to what it could take, so that no Region is filled while others idle.
    void start(Index s) {
        const Eigen::ArrayXd could = given_.row(s).transpose().min(room_);
        const double all = could.sum();
        if (!(all > 0)) return;
        const Eigen::ArrayXd part = all <= left_[s] ? could : Eigen::ArrayXd((could * (left_[s] / all)).min(could));
        flow_.row(s) = part.transpose();
        room_ = (room_ - part).max(0.0);
        take(s, part.sum());
    }

    // Breadth first from every source with load left, over residual ways, to a target with room left; −1 if none.
    // Vertices: sources, then targets.
    Index search() {
        std::fill(from_.begin(), from_.end(), unseen);
        queue_.clear();
        for (Index s = 0; s < sources_; ++s)
            if (left_[s] > 0) from_[static_cast<std::size_t>(s)] = root, queue_.push_back(s);
        for (std::size_t at = 0; at < queue_.size(); ++at) {
            const Index v = queue_[at];
            if (v < sources_) {
                for (Index r = 0; r < targets_; ++r)
                    if (limit_(v, r) - flow_(v, r) > rounding * limit_(v, r) && see(sources_ + r, v) &&
                        room_[r] > rounding * all_room_[r])
                        return sources_ + r;
            } else {
                for (Index s = 0; s < sources_; ++s)
                    if (flow_(s, v - sources_) > rounding * limit_(s, v - sources_)) see(s, v);
            }
        }
        return -1;
    }

    bool see(Index v, Index from) {
        auto& seen = from_[static_cast<std::size_t>(v)];
        if (seen != unseen) return false;
        seen = from;
        queue_.push_back(v);
        return true;
    }

    void push(Index end) {
        double amount = room_[end - sources_];
        Index v = end;
        for (Index u = from_[static_cast<std::size_t>(v)]; u != root; v = u, u = from_[static_cast<std::size_t>(v)])
            amount = std::min(
                amount, v >= sources_ ? limit_(u, v - sources_) - flow_(u, v - sources_) : flow_(v, u - sources_));
        amount = std::min(amount, left_[v]);
        room_[end - sources_] -= amount;
        take(v, amount);
        v = end;
        for (Index u = from_[static_cast<std::size_t>(v)]; u != root; v = u, u = from_[static_cast<std::size_t>(v)]) {
            if (v >= sources_)
                flow_(u, v - sources_) = std::min(flow_(u, v - sources_) + amount, limit_(u, v - sources_));
            else flow_(v, u - sources_) = std::max(0.0, flow_(v, u - sources_) - amount);
        }
    }

    Index sources_, targets_;
    Eigen::ArrayXd left_, room_;
    const Eigen::Ref<const Eigen::ArrayXXd>& given_;
    const Eigen::ArrayXXd limit_;
    const Column &load_, &all_room_;
    Eigen::ArrayXXd flow_;
    std::vector<Index> from_, queue_;
};

}  // namespace

Placed place(const Column& load, const Column& room, const Eigen::Ref<const Eigen::ArrayXXd>& limit) {
    Network network(load, room, limit);
    network.augment();
    return std::move(network).result();
}

}  // namespace surgetank
