// Products on crossbars with one normal for every device and every read, written down as plainly as PHYSICS
// sections 1, 2 and 4 state them. Shares nothing with the engine but parameters and inputs.
#pragma once

#include <algorithm>
#include <array>
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crossbar/moments.hpp"
#include "crossbar/scenario.hpp"

namespace crossweep::crossbar {

/// A wrong dependence between draws, to show that it would be seen.
enum class Planted {
    nothing,
    reads,    ///< noise that is fresh at every read is kept for the next, noise that lasts is drawn anew
    heads,    ///< the devices of both heads (or parts) have the same noise
    columns,  ///< the devices of a row have the same noise
    cycles,   ///< the cycles of one read have the same noise
};

class BruteForce {
  public:
    BruteForce(const Scenario& scenario, const Block& block, Planted planted, std::uint64_t seed)
        : scenario_(scenario), planted_(planted), generator_(seed) {
        const auto& device = scenario.device;
        min_S_ = device.g_max_S / device.on_off_ratio;
        span_S_ = device.g_max_S - min_S_;
        const bool stationary = scenario.operand == Operand::weights;
        write_sigma_ = stationary ? device.programming_noise_sigma
                                  : device.write_noise_factor * device.write_noise_sigma;
        code_inputs(block);
        code_weights(block);
        cut_weights_into_digits();
    }

    Samples sample(std::size_t images) {
        Samples samples{output_names(scenario_), std::vector<std::vector<double>>(8)};
        for (std::size_t image = 0; image < images; ++image) {
            hold();
            fresh_ = draws(fresh_read(), cycles_.size(), planted_ == Planted::reads ? 1 : 2);
            std::size_t output = 0;
            for (std::size_t read = 0; read < 2; ++read) {
                for (std::size_t head = 0; head < 2; ++head) {
                    for (std::size_t column = 0; column < 2; ++column)
                        samples.of_output[output++].push_back(product({read, 0, head, 0, 0, column}));
                }
            }
        }
        return samples;
    }

  private:
    /// A device at one of its reads: `round` counts the cycles of a read, or the attempts of a write.
    struct At {
        std::size_t read, round, head, plane, input, column;
    };

    /// Standard normals of all devices, reads and rounds; dimensions that share a draw have stride 0.
    struct Normals {
        std::vector<double> all;
        At stride = {};
        double operator()(const At& at) const {
            return all[at.read * stride.read + at.round * stride.round + at.head * stride.head +
                       at.plane * stride.plane + at.input * stride.input + at.column * stride.column];
        }
    };

    Normals draws(bool any, std::size_t rounds, std::size_t reads) {
        Normals normals;
        std::size_t count = 1;
        const auto dimension = [&](std::size_t& stride, std::size_t extent, bool shared = false) {
            stride = shared ? 0 : count;
            if (!shared) count *= extent;
        };
        dimension(normals.stride.column, 2, planted_ == Planted::columns);
        dimension(normals.stride.input, inputs_);
        dimension(normals.stride.plane, planes_.size());
        dimension(normals.stride.head, 2, planted_ == Planted::heads);
        dimension(normals.stride.round, rounds, planted_ == Planted::cycles);
        dimension(normals.stride.read, 2, reads == 1);
        if (!any) return normals;
        normals.all.resize(count);
        for (double& normal : normals.all) normal = normal_(generator_);
        return normals;
    }

    // --- integers: codes, cycles, digits ---

    struct Cycle {
        double weight;
        std::array<std::vector<double>, 4> digit;  ///< [2 read + head][input]
    };
    struct Plane {
        double significance;
        std::vector<double> digit, sign;  ///< [(head inputs + input) 2 + column]
    };

    void code_inputs(const Block& block) {
        const std::uint32_t bits = scenario_.crossbar.input_bits;
        const double largest_code = std::exp2(bits - 1) - 1;
        for (std::size_t read = 0; read < 2; ++read) {
            for (Eigen::Index head = 0; head < 2; ++head) {
                const auto row = Block::reads[read];
                linalg::Matrix x = block.x.row(row);
                if (scenario_.operand == Operand::keys)
                    x = block.queries.row(row).segment(head * Block::head_width, Block::head_width);
                if (scenario_.operand == Operand::values) x = block.probabilities.row(row);
                const double step =
                    bits == 0 ? 1 : static_cast<double>(x.cwiseAbs().maxCoeff()) / largest_code;
                std::vector<double> code;
                for (const float value : x.reshaped()) {
                    const double exact = static_cast<double>(value) / step;
                    code.push_back(bits == 0 ? exact : std::nearbyint(exact));
                }
                inputs_ = code.size();
                step_.push_back(step);
                apply(code, 2 * read + static_cast<std::size_t>(head));
                code_.push_back(code);
            }
        }
    }

    /// Cut the codes of one read of one head into what the DACs apply, cycle by cycle.
    void apply(const std::vector<double>& code, std::size_t which) {
        std::size_t cycle = 0;
        const auto add = [&](double weight, auto&& digit_of) {
            if (cycles_.size() == cycle) cycles_.push_back({weight, {}});
            for (const double c : code) cycles_[cycle].digit[which].push_back(digit_of(c));
            ++cycle;
        };
        if (scenario_.fidelity == Fidelity::behavioural || scenario_.crossbar.input_bits == 0)
            return add(1, [](double c) { return c; });
        const double half = std::exp2(scenario_.crossbar.input_bits - 1),
                     base = std::exp2(scenario_.crossbar.dac_bits);
        const auto add_digits = [&](double sign, auto&& magnitude_of) {
            for (double weight = 1; weight < half; weight *= base)
                add(sign * weight,
                    [&](double c) { return std::fmod(std::floor(magnitude_of(c) / weight), base); });
        };
        const bool twos_complement = scenario_.crossbar.input_encoding == InputEncoding::twos_complement;
        if (scenario_.operand != Operand::values && twos_complement) {
            add(-half, [](double c) { return c < 0 ? 1 : 0; });
            return add_digits(1, [&](double c) { return c < 0 ? c + half : c; });
        }
        add_digits(1, [](double c) { return std::max(c, 0.0); });
        if (scenario_.operand != Operand::values) add_digits(-1, [](double c) { return std::max(-c, 0.0); });
    }

    /// Signed codes of the columns that are looked at, one head behind the other.
    void code_weights(const Block& block) {
        const std::uint32_t levels = scenario_.crossbar.weight_levels;
        full_code_ = levels == 0 ? 1 : levels - 1;
        for (Eigen::Index head = 0; head < 2; ++head) {
            const auto rows = Block::part_outputs, width = Block::head_width;
            linalg::Matrix w = block.weights.middleRows(head * rows, rows).transpose();
            double largest = static_cast<double>(w.cwiseAbs().maxCoeff());
            if (scenario_.operand == Operand::keys) {
                w = block.keys.middleCols(head * width, width).transpose();
                largest = static_cast<double>(block.keys.cwiseAbs().maxCoeff());
            } else if (scenario_.operand == Operand::values) {
                w = block.values.middleCols(head * width, width);
                largest = static_cast<double>(block.values.cwiseAbs().maxCoeff());
            }
            weight_of_code_.push_back(largest / full_code_);
            for (Eigen::Index input = 0; input < w.rows(); ++input) {
                for (const auto column : scenario_.columns) {
                    const double exact = static_cast<double>(w(input, column)) / largest * full_code_;
                    weight_code_.push_back(levels == 0 ? exact : std::nearbyint(exact));
                }
            }
        }
    }

    void cut_weights_into_digits() {
        const auto add = [&](double significance, auto&& digit_of, bool takes_sign) {
            Plane plane{significance, {}, {}};
            for (const double code : weight_code_) {
                plane.digit.push_back(digit_of(code));
                plane.sign.push_back(takes_sign && code < 0 ? -1 : 1);
            }
            planes_.push_back(plane);
        };
        largest_digit_ = full_code_;
        if (scenario_.fidelity == Fidelity::behavioural)
            return add(
                1, [](double code) { return std::abs(code); }, true);
        const bool offset = scenario_.crossbar.mapping == Mapping::offset;
        const double base = std::exp2(scenario_.device.bits_per_cell);
        largest_digit_ = base - 1;
        shift_ = offset ? full_code_ : 0;
        for (double weight = 1; weight <= full_code_ + shift_; weight *= base) {
            const auto digit = [base, weight](double code) {
                return std::fmod(std::floor(std::max(code, 0.0) / weight), base);
            };
            add(
                weight, [&](double code) { return digit(code + shift_); }, false);
            if (!offset)
                add(
                    -weight, [&](double code) { return digit(-code); }, false);
        }
    }

    // --- devices ---

    bool fresh_read() const {
        return scenario_.device.read_noise == device::ReadNoiseMode::per_read &&
               scenario_.device.read_noise_sigma > 0;
    }
    bool kept_read() const {
        return scenario_.device.read_noise == device::ReadNoiseMode::frozen &&
               scenario_.device.read_noise_sigma > 0;
    }

    static double interpolated(const device::NoiseTable& table, double g) {
        const auto &x = table.conductance_S, &y = table.deviation_S;
        if (g <= x.front()) return y.front();
        for (std::size_t i = 1; i < x.size(); ++i) {
            if (g < x[i]) return y[i - 1] + (y[i] - y[i - 1]) * (g - x[i - 1]) / (x[i] - x[i - 1]);
        }
        return y.back();
    }

    double read_deviation(double g) const {
        const auto& device = scenario_.device;
        switch (device.read_noise_law) {
            case device::ReadNoiseLaw::proportional:
                return device.read_noise_sigma * g;
            case device::ReadNoiseLaw::constant:
                return device.read_noise_sigma * device.g_max_S;
            default:
                return device.read_noise_sigma * interpolated(device.read_noise_table, g);
        }
    }

    double write_deviation(double g) const {
        switch (scenario_.device.write_noise_law) {
            case device::WriteNoiseLaw::clipformer:
                return write_sigma_ * std::sqrt((g - min_S_) * span_S_);
            case device::WriteNoiseLaw::proportional:
                return write_sigma_ * g;
            case device::WriteNoiseLaw::constant:
                return write_sigma_ * span_S_;
            default:
                return write_sigma_ * interpolated(scenario_.device.write_noise_table, g);
        }
    }

    double clamped(double g) const {
        switch (scenario_.device.clamp) {
            case device::Clamp::none:
                return g;
            case device::Clamp::non_negative:
                return std::max(g, 0.0);
            default:
                return std::clamp(g, min_S_, min_S_ + span_S_);
        }
    }

    std::size_t cell(const At& at) const { return (at.head * inputs_ + at.input) * 2 + at.column; }
    std::size_t held_cell(const At& at) const {
        return (at.read * planes_.size() + at.plane) * weight_code_.size() + cell(at);
    }

    /// Write all devices of one image (or chip).
    void hold() {
        const auto& transform = scenario_.transform;
        const bool verifies = scenario_.operand != Operand::weights;
        const std::size_t attempts = verifies ? 1 + transform.write_verify_iterations : 1;
        const std::size_t lives = planted_ == Planted::reads ? 2 : 1;
        const Normals written = draws(write_sigma_ > 0, attempts, lives), kept = draws(kept_read(), 1, lives);
        held_.resize(2 * planes_.size() * weight_code_.size());
        for (std::size_t read = 0; read < 2; ++read) {
            for (std::size_t plane = 0; plane < planes_.size(); ++plane) {
                for (std::size_t head = 0; head < 2; ++head) {
                    for (std::size_t input = 0; input < inputs_; ++input) {
                        for (std::size_t column = 0; column < 2; ++column) {
                            At at{read, 0, head, plane, input, column};
                            const double aim =
                                min_S_ + span_S_ * planes_[plane].digit[cell(at)] / largest_digit_;
                            double g = aim;
                            for (at.round = 0; at.round < attempts && write_sigma_ > 0; ++at.round) {
                                g = clamped(aim + write_deviation(aim) * written(at));
                                if (std::abs(g - aim) <= transform.write_verify_tolerance * span_S_) break;
                            }
                            at.round = 0;
                            if (kept_read()) g = clamped(g + read_deviation(g) * kept(at));
                            held_[held_cell(at)] = g;
                        }
                    }
                }
            }
        }
    }

    double converted(double sum) const {
        const auto& crossbar = scenario_.crossbar;
        if (scenario_.fidelity != Fidelity::circuit || crossbar.adc_bits == 0) return sum;
        const double codes = std::exp2(crossbar.adc_bits) - 1;
        const double full = crossbar.array_rows * largest_digit_ * (std::exp2(crossbar.dac_bits) - 1);
        const double step = crossbar.adc_range == AdcRange::full ? std::max(1.0, full / codes)
                                                                 : crossbar.adc_range_top / codes;
        return step * std::clamp(std::nearbyint(sum / step), 0.0, codes);
    }

    /// One output: every device is read in every cycle, every array has a converter of its own.
    double product(At at) const {
        const std::size_t which = 2 * at.read + at.head, rows = scenario_.crossbar.array_rows;
        const bool noisy = fresh_read();
        const double siemens_per_digit = span_S_ / largest_digit_;
        double result = 0;
        for (std::size_t first = 0; first < inputs_; first += rows) {
            for (at.plane = 0; at.plane < planes_.size(); ++at.plane) {
                const Plane& plane = planes_[at.plane];
                for (at.round = 0; at.round < cycles_.size(); ++at.round) {
                    const Cycle& cycle = cycles_[at.round];
                    double current = 0, background = 0;
                    for (at.input = first; at.input < std::min(first + rows, inputs_); ++at.input) {
                        const double voltage = cycle.digit[which][at.input] * plane.sign[cell(at)];
                        double g = held_[held_cell(at)];
                        if (noisy) g += read_deviation(g) * fresh_(at);
                        current += voltage * g;
                        background += voltage * min_S_;
                    }
                    result += cycle.weight * plane.significance *
                              converted((current - background) / siemens_per_digit);
                }
            }
        }
        for (const double code : code_[which]) result -= shift_ * code;
        return result * weight_of_code_[at.head] * step_[which];
    }

    Scenario scenario_;
    Planted planted_;
    boost::random::mt19937_64 generator_;
    boost::random::normal_distribution<double> normal_;

    double min_S_, span_S_, write_sigma_;
    std::size_t inputs_ = 0;
    std::vector<std::vector<double>> code_;  ///< of inputs [2 read + head]
    std::vector<double> step_;               ///< of inputs [2 read + head]
    std::vector<Cycle> cycles_;
    double full_code_ = 1, largest_digit_ = 1, shift_ = 0;
    std::vector<double> weight_code_;     ///< [(head inputs + input) 2 + column]
    std::vector<double> weight_of_code_;  ///< [head]
    std::vector<Plane> planes_;
    std::vector<double> held_;  ///< siemens [read, plane, cell]
    Normals fresh_;
};

}  // namespace crossweep::crossbar
