#include "surgetank/spikes_stream.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "surgetank/lanes_source.hpp"
#include "surgetank/parallel.hpp"

namespace surgetank {
namespace {

using spikes::Adaptive;
using spikes::Judgement;
using spikes::Recorder;

constexpr Index chunk = 512;  // samples of eight series at a time: what is gathered stays near

// Eight series (or what is left of them), whose states lie at `states`.
std::vector<Episode> judge_group(const Samples& usage, Index first, Adaptive* states, const SpikeOutputs& outputs,
                                 Spikes& out, const Poll& poll) {
    const lanes::Kernels& kernels = lanes::kernels();  // needed or not, so that a wrong SURGETANK_CPU is always told
    const Index series = std::min(lanes::width, usage.cols() - first);
    const lanes::Source source = lanes::source(usage, first);
    const bool contiguous = usage.innerStride() == 1 || usage.rows() <= 1;
    std::vector<double> gathered(contiguous ? 0 : static_cast<std::size_t>(chunk * lanes::width));
    std::vector<Recorder> recorders;
    for (Index j = 0; j < series; ++j) recorders.emplace_back(out, outputs, first + j);
    for (Index start = 0; start < usage.rows(); start += chunk) {
        if (poll && start % (64 * chunk) == 0) poll();
        const Index rows = std::min(chunk, usage.rows() - start);
        if (!contiguous) kernels.columns(source, start, rows, gathered.data(), chunk);
        for (Index j = 0; j < series; ++j) {
            const double* x = contiguous ? source.start + source.offset[j] + start : gathered.data() + j * chunk;
            auto& recorder = recorders[static_cast<std::size_t>(j)];
            for (Index t = 0; t < rows; ++t) {
                spikes::check_sample(x[t]);
                Judgement judged = states[j].add(x[t]);
                if (outputs.likelihood) judged.likelihood = -std::expm1(-judged.likelihood * std::numbers::ln10);
                recorder.record(start + t, x[t], judged);
            }
        }
    }
    std::vector<std::vector<Episode>> parts;
    for (Recorder& recorder : recorders) {
        recorder.finish();
        parts.push_back(std::move(recorder.episodes));
    }
    return spikes::joined(parts);
}

// Every group of eight, by judge(first series, out, poll), which gives its episodes.
template <class Judge>
Spikes all_groups(const Samples& usage, const SpikeOutputs& outputs, Index threads, const Poll& poll, Judge&& judge) {
    Spikes out = spikes::blank(usage, outputs);
    const Index groups = (usage.cols() + lanes::width - 1) / lanes::width;
    std::vector<std::vector<Episode>> episodes(static_cast<std::size_t>(groups));
    parallel(groups, threads, poll, [&](Index, Index group, const Poll& own) {
        episodes[static_cast<std::size_t>(group)] = judge(group * lanes::width, out, own);
    });
    out.episodes = spikes::joined(episodes);
    return out;
}

}  // namespace

AdaptiveStream::AdaptiveStream(const AdaptiveOptions& options, Index series) : options_(options) {
    check(options);
    require(series >= 1, "series", "must be 1 or more", series);
    states_.assign(static_cast<std::size_t>(series), Adaptive(options));
}

Spikes AdaptiveStream::update(const Samples& usage, const SpikeOutputs& outputs, Index threads, const Poll& poll) {
    require(usage.cols() == series(), "usage", fmt::format("must have the stream's {} series", series()), usage.cols());
    auto states = states_;
    Spikes out = all_groups(usage, outputs, threads, poll, [&](Index first, Spikes& found, const Poll& own) {
        return judge_group(usage, first, &states[static_cast<std::size_t>(first)], outputs, found, own);
    });
    states_ = std::move(states);
    samples_ += usage.rows();
    return out;
}

Spikes adaptive(const Samples& usage, const AdaptiveOptions& options, const SpikeOutputs& outputs, Index threads,
                const Poll& poll) {
    check(options);
    const Adaptive fresh(options);
    return all_groups(usage, outputs, threads, poll, [&](Index first, Spikes& found, const Poll& own) {
        std::vector<Adaptive> states(lanes::width, fresh);
        return judge_group(usage, first, states.data(), outputs, found, own);
    });
}

namespace {

constexpr std::string_view magic = "surgetank spikes";
constexpr std::uint64_t version = 1;
constexpr std::int64_t most_series = std::int64_t{1} << 32, most_samples = std::int64_t{1} << 62;

// Numbers as little-endian bytes, whatever the machine.
template <class Number>
std::uint64_t to_bits(Number x) {
    if constexpr (std::is_same_v<Number, double>) return std::bit_cast<std::uint64_t>(x);
    else return static_cast<std::uint64_t>(x);
}
template <class Number>
Number from_bits(std::uint64_t bits) {
    if constexpr (std::is_same_v<Number, double>) return std::bit_cast<double>(bits);
    else if constexpr (std::is_same_v<Number, bool>) return bits != 0;
    else return static_cast<Number>(bits);
}

struct Writer {
    template <class Number>
    void operator()(const Number& x) {
        for (std::size_t i = 0; i < sizeof(Number); ++i) bytes += static_cast<char>(to_bits(x) >> 8 * i & 0xff);
    }
    std::string bytes;
};

struct Reader {
    template <class Number>
    void operator()(Number& x) {
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < sizeof(Number); ++i)
            bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes.at(place++))) << 8 * i;
        x = from_bits<Number>(bits);
    }
    std::string_view bytes;
    std::size_t place = 0;
};

struct Counter {
    template <class Number>
    void operator()(const Number&) {
        bytes += sizeof(Number);
    }
    std::size_t bytes = 0;
};

// FNV-1a: finds damage, not malice; what could hurt is checked besides.
std::uint64_t checksum(std::string_view bytes) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    return hash;
}

struct Head {
    AdaptiveOptions options;
    std::int64_t samples = 0, series = 0;
    std::size_t length = 0;  // of everything
};

void refuse(bool holds, std::string_view rule, const std::string& value) { require(holds, "state", rule, value); }

// What must come, before any of it is believed.
Head read_head(Reader& in) {
    Head head;
    const std::size_t size = in.bytes.size();
    refuse(in.bytes.starts_with(magic) && size >= AdaptiveStream::head_length,
           "must be what SpikeStream.to_bytes() gave", fmt::format("{} other bytes", size));
    in.place = magic.size();
    std::uint64_t found = 0;
    in(found);
    refuse(found == version, fmt::format("must be of version {}", version), std::to_string(found));
    in(head.options.threshold);
    in(head.options.both);
    in(head.options.step_s);
    in(head.samples);
    in(head.series);
    assert(in.place == AdaptiveStream::head_length);
    const double threshold = head.options.threshold, step_s = head.options.step_s;
    refuse(std::isfinite(threshold) && threshold > 0 && std::isfinite(step_s) && step_s > 0,
           "must be what SpikeStream.to_bytes() gave", fmt::format("threshold {}, step_s {}", threshold, step_s));
    refuse(head.series >= 1 && head.series <= most_series && head.samples >= 0 && head.samples < most_samples,
           "must be what SpikeStream.to_bytes() gave",
           fmt::format("{} samples of {} series", head.samples, head.series));
    Counter each;
    Adaptive(head.options).visit(each);
    head.length = in.place + static_cast<std::size_t>(head.series) * each.bytes + sizeof(std::uint64_t);
    return head;
}

}  // namespace

std::string AdaptiveStream::save() const {
    Writer out;
    out.bytes = magic;
    out(version);
    out(options_.threshold);
    out(options_.both);
    out(options_.step_s);
    out(static_cast<std::int64_t>(samples_));
    out(static_cast<std::int64_t>(series()));
    for (Adaptive state : states_) state.visit(out);
    out(checksum(out.bytes));
    return std::move(out.bytes);
}

AdaptiveStream AdaptiveStream::restore(std::string_view bytes) {
    Reader in{bytes};
    const Head head = read_head(in);
    refuse(bytes.size() == head.length, "must be whole", fmt::format("{} of {} bytes", bytes.size(), head.length));
    const std::string_view body = bytes.substr(0, bytes.size() - sizeof(std::uint64_t));
    Reader end{bytes, body.size()};
    std::uint64_t found = 0;
    end(found);
    refuse(found == checksum(body), "must be whole and unchanged", "a checksum that does not match");
    AdaptiveStream out(head.options, head.series);
    out.samples_ = head.samples;
    for (Adaptive& state : out.states_) {
        state.visit(in);
        refuse(state.restored(), "must be what SpikeStream.to_bytes() gave", "places outside of it");
    }
    return out;
}

std::size_t AdaptiveStream::length(std::string_view bytes) {
    Reader in{bytes};
    return read_head(in).length;
}

}  // namespace surgetank
