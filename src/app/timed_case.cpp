#include "timed_case.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "crossweep/device/noise.hpp"

namespace crossweep::app {
namespace {

using crossbar::Fidelity;
using device::ReadNoiseMode;
using linalg::Role;

constexpr std::array all_cases{
    Case{"digital", "digital, fp32", Fidelity::digital, ReadNoiseMode::frozen, 12, 4},
    Case{"frozen", "behavioural, read noise frozen", Fidelity::behavioural, ReadNoiseMode::frozen, 12, 4},
    Case{"per_read", "behavioural, read noise per read", Fidelity::behavioural, ReadNoiseMode::per_read, 12,
         4},
    Case{"sliced", "sliced, read noise per read", Fidelity::sliced, ReadNoiseMode::per_read, 12, 4},
    Case{"circuit", "circuit, read noise per read", Fidelity::circuit, ReadNoiseMode::per_read, 1, 1},
};

trial::PointParams point_of(const Case& timed, const std::filesystem::path& weights) {
    trial::PointParams point;
    point.model = {weights, 6};
    point.crossbar.adc_range = crossbar::AdcRange::full;  // needs no calibration and takes as long
    for (auto& operand : point.operands) {
        operand.fidelity = timed.fidelity;
        operand.device.read_noise = timed.read_noise;
    }
    for (const auto role : {Role::embedding, Role::head})
        point.operands[static_cast<std::size_t>(role)].fidelity = Fidelity::digital;
    return point;
}

}  // namespace

std::span<const Case> cases() {
    return all_cases;
}

const Case& case_of(const trial::PointParams& point) {
    const auto& operand = point.operands[static_cast<std::size_t>(Role::mlp_in)];
    const bool fresh = device::draws_at_every_read(operand.device);
    // Arrays with converters take machines alike, however many rows they drive.
    const Fidelity fidelity =
        operand.fidelity == Fidelity::large_small ? Fidelity::circuit : operand.fidelity;
    return *std::find_if(all_cases.begin(), all_cases.end(), [&](const Case& timed) {
        if (timed.fidelity != fidelity) return false;
        return fidelity != Fidelity::behavioural || fresh == (timed.read_noise == ReadNoiseMode::per_read);
    });
}

TimedCase::TimedCase(const Case& timed)
    : case_(timed),
      synthetic_(timed.images, timed.depth),
      experiment_(data(), 1, {point_of(timed, synthetic_.weights())}),
      runner_(experiment_, 1, timed.images) {}

double TimedCase::mac_per_s(double budget_s, std::size_t repeats) {
    const auto& network = experiment_.model(0).network;
    const auto digital = case_.depth > 1 ? 0
                                         : network.multiply_accumulates(Role::embedding) +
                                               network.multiply_accumulates(Role::head);
    const double seconds = least(budget_s, [&] { return seconds_per_image(repeats); });
    return (macs_per_image() - static_cast<double>(digital)) / seconds;
}

double TimedCase::macs_per_image() const {
    return static_cast<double>(experiment_.model(0).network.multiply_accumulates());
}

trial::DataParams TimedCase::data() const {
    trial::DataParams params;
    params.images = synthetic_.images();
    params.shard_images = case_.images;
    return params;
}

double TimedCase::seconds_per_image(std::size_t repeats) {
    const bool digital = case_.fidelity == Fidelity::digital;
    const PointId point = digital ? experiment_.reference_point(0) : PointId(0);
    const auto records =
        runner_.run({TrialId(0), ShardId(0), std::vector<PointId>(digital ? 1 : repeats, point)});
    const auto fastest = std::min_element(records.begin(), records.end(),
                                          [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    return fastest->seconds / case_.images;
}

double least(double budget_s, const std::function<double()>& measure) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(budget_s);
    double best = measure();
    for (int calls = 1; calls < 3 || Clock::now() < end; ++calls) best = std::min(best, measure());
    return best;
}

}  // namespace crossweep::app
