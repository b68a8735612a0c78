#include "crossweep/device/cell_writer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/core/rounding.hpp"
#include "crossweep/core/statistics.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::device {
namespace {

// The kernels leave what is not a number as it is: comparisons are written so that it falls through.

CROSSWEEP_MULTIVERSION
void level_kernel(float* g, float min, float max, float last, std::size_t count) {
    const float levels_per_S = last / (max - min);
    for (std::size_t i = 0; i < count; ++i) {
        const float level = ((g[i] - min) * levels_per_S + rounding_shift) - rounding_shift;
        const float raised = level < 0.0F ? 0.0F : level;
        const float fraction = (raised > last ? last : raised) / last;
        g[i] = (1.0F - fraction) * min + fraction * max;  // the outer levels are G_min and G_max exactly
    }
}

/// `low_S` and `high_S`: deviations of the ends of a cell's window.
CROSSWEEP_MULTIVERSION
void spread_kernel(float* __restrict g, const float* __restrict low_normal,
                   const float* __restrict high_normal, float min, float span, float low_S, float high_S,
                   std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float fraction = (g[i] - min) / span;
        g[i] += (1.0F - fraction) * low_S * low_normal[i] + fraction * high_S * high_normal[i];
    }
}

CROSSWEEP_MULTIVERSION
void clamp_kernel(float* g, float low, float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float raised = g[i] < low ? low : g[i];
        g[i] = raised > high ? high : raised;
    }
}

CROSSWEEP_MULTIVERSION
std::size_t count_missed(const float* __restrict g, const float* __restrict aim, float tolerance,
                         std::size_t count) {
    std::uint32_t missed = 0;
    for (std::size_t i = 0; i < count; ++i) missed += __builtin_fabsf(g[i] - aim[i]) > tolerance ? 1U : 0U;
    return missed;
}

CROSSWEEP_MULTIVERSION
void replace_missed(float* __restrict g, const float* __restrict aim, const float* __restrict rewritten,
                    float tolerance, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        g[i] = __builtin_fabsf(g[i] - aim[i]) > tolerance ? rewritten[i] : g[i];
    }
}

CROSSWEEP_MULTIVERSION
void stick_kernel(float* __restrict g, const float* __restrict normal, float low, float high, float min,
                  float max, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float lowered = normal[i] < low ? min : g[i];
        g[i] = normal[i] > high ? max : lowered;
    }
}

/// G 2^-(nu halvings) with nu = exponent + sigma xi, at least 0. The power of two by Taylor's series of 2^x
/// for |x| <= 1/2, relative error below 1e-7; not by the C library, whose last bit depends on the processor.
CROSSWEEP_MULTIVERSION
void drift_kernel(float* __restrict g, const float* __restrict normal, float exponent, float sigma,
                  float halvings, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float drawn = exponent + sigma * normal[i];
        const float power = (drawn < 0.0F ? 0.0F : drawn) * halvings;
        const float bounded = power > 120.0F ? 120.0F : power;
        const float rounded = bounded + rounding_shift;
        const float x = (rounded - rounding_shift) - bounded;
        float p = 1.525273380406e-5F;
        p = p * x + 1.540353039338e-4F;
        p = p * x + 1.333355814643e-3F;
        p = p * x + 9.618129107629e-3F;
        p = p * x + 5.550410866482e-2F;
        p = p * x + 2.402265069591e-1F;
        p = p * x + 6.931471805599e-1F;
        p = p * x + 1.0F;
        const std::uint32_t whole =
            std::bit_cast<std::uint32_t>(rounded) - std::bit_cast<std::uint32_t>(rounding_shift);
        g[i] *= p * std::bit_cast<float>((127U - whole) << 23);
    }
}

/// Drift that is the same for all cells, then retention.
CROSSWEEP_MULTIVERSION
void decay_kernel(float* g, float drifted, float kept, float min, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float aged = g[i] * drifted;
        g[i] = aged + (kept - 1.0F) * (aged - min);
    }
}

constexpr std::uint32_t chip_level = 0;  // the image of draws that belong to the chip

double age_s(const DeviceParams& params, Storage storage) {
    return storage == Storage::stationary ? params.t_read_s : params.written_t_read_s;
}

bool spreads(const DeviceParams& params) {
    return params.g_min_spread_sigma > 0 || params.g_max_spread_sigma > 0;
}

bool sticks(const DeviceParams& params) {
    return params.stuck_at_g_min > 0 || params.stuck_at_g_max > 0;
}

bool drifts(const DeviceParams& params, Storage storage) {
    return age_s(params, storage) > params.drift_t0_s &&
           (params.drift_exponent > 0 || params.drift_exponent_sigma > 0);
}

double log2_of_age(const DeviceParams& params, Storage storage) {
    if (!drifts(params, storage)) return 0;
    CROSSWEEP_EXPECT(params.drift_t0_s > 0);
    return std::log2(age_s(params, storage) / params.drift_t0_s);
}

double retained(const DeviceParams& params, Storage storage) {
    return params.retention_s > 0 ? std::exp(-age_s(params, storage) / params.retention_s) : 1;
}

/// The normals of `count` cells of `row`, in `room`, which only ever grows.
std::span<const float> draw(std::vector<float>& room, NoiseSite site, const CellRow& row,
                            std::uint32_t operand, std::uint32_t image, std::size_t count) {
    if (room.size() < count) room.resize(count);
    const std::span<float> normal(room.data(), count);
    linalg::fill_normal(row.key, draw_identity(site, row.layer, operand, image, row.row), normal);
    return normal;
}

}  // namespace

CellWriter::CellWriter(const DeviceParams& params, Storage storage, const WriteVerify& verify)
    : params_(params),
      storage_(storage),
      verify_(verify),
      window_(conductance_window(params)),
      bounds_(conductance_bounds(params.clamp, window_)),
      write_noise_(storage == Storage::stationary ? WriteNoise::of_programming(params)
                                                  : WriteNoise::of_written_operands(params)),
      read_noise_(params),
      stuck_low_(static_cast<float>(normal_quantile(params.stuck_at_g_min))),
      stuck_high_(-static_cast<float>(normal_quantile(params.stuck_at_g_max))),
      halvings_(static_cast<float>(log2_of_age(params, storage))),
      kept_(static_cast<float>(retained(params, storage))) {
    CROSSWEEP_EXPECT(params.levels != 1);
    CROSSWEEP_EXPECT(verify.iterations < 16);
}

bool CellWriter::perturbs() const {
    return params_.levels > 0 || spreads(params_) || write_noise_.sigma() > 0 || sticks(params_) ||
           halvings_ > 0 || kept_ < 1 || keeps_read_noise(params_);
}

void CellWriter::operator()(std::span<float> conductance_S, const CellRow& row) {
    CROSSWEEP_EXPECT(row.operand < 16);
    if (params_.levels > 0) set_levels(conductance_S);
    if (spreads(params_)) spread(conductance_S, row);
    if (write_noise_.sigma() > 0) write(conductance_S, row);
    if (halvings_ > 0 || kept_ < 1) age(conductance_S, row);
    if (sticks(params_)) stick(conductance_S, row);
    if (keeps_read_noise(params_)) keep_read_noise(conductance_S, row);
}

void CellWriter::set_levels(std::span<float> conductance_S) const {
    level_kernel(conductance_S.data(), window_.min_S, window_.max_S, static_cast<float>(params_.levels - 1),
                 conductance_S.size());
}

void CellWriter::spread(std::span<float> conductance_S, const CellRow& row) {
    const std::size_t count = conductance_S.size();
    std::span<const float> low, high;
    if (params_.g_min_spread_sigma > 0) {
        low = draw(normal_, NoiseSite::cell_g_min, row, row.operand, chip_level, count);
    }
    if (params_.g_max_spread_sigma > 0) {
        high = draw(other_, NoiseSite::cell_g_max, row, row.operand, chip_level, count);
    }
    // An end that does not spread has deviation 0: any normals do.
    if (low.empty()) low = high;
    if (high.empty()) high = low;
    const auto low_S = static_cast<float>(params_.g_min_spread_sigma) * window_.min_S;
    const auto high_S = static_cast<float>(params_.g_max_spread_sigma) * window_.max_S;
    spread_kernel(conductance_S.data(), low.data(), high.data(), window_.min_S, window_.span_S(), low_S,
                  high_S, count);
    clamp(conductance_S);
}

void CellWriter::write(std::span<float> conductance_S, const CellRow& row) {
    const std::size_t count = conductance_S.size();
    if (verify_.iterations > 0) aim_.assign(conductance_S.begin(), conductance_S.end());
    const NoiseSite site =
        storage_ == Storage::stationary ? NoiseSite::weight_programming : NoiseSite::operand_write;
    write_noise_(conductance_S, draw(normal_, site, row, row.operand, row.image, count));
    if (verify_.iterations > 0) write_again_where_missed(conductance_S, row);
}

void CellWriter::write_again_where_missed(std::span<float> conductance_S, const CellRow& row) {
    const std::size_t count = conductance_S.size();
    const float tolerance_S = static_cast<float>(verify_.tolerance) * window_.span_S();
    for (std::uint32_t iteration = 1; iteration <= verify_.iterations; ++iteration) {
        const auto missed = count_missed(conductance_S.data(), aim_.data(), tolerance_S, count);
        if (missed == 0) return;
        rewrites_ += missed;
        // Drawn for all cells of the row: which numbers a cell gets must not depend on its neighbours.
        const auto normal =
            draw(normal_, NoiseSite::operand_rewrite, row, row.operand | iteration << 4, row.image, count);
        other_.assign(aim_.begin(), aim_.end());
        write_noise_(other_, normal);
        replace_missed(conductance_S.data(), aim_.data(), other_.data(), tolerance_S, count);
    }
}

void CellWriter::age(std::span<float> conductance_S, const CellRow& row) {
    const std::size_t count = conductance_S.size();
    float drifted = 1;
    if (halvings_ > 0 && params_.drift_exponent_sigma > 0) {
        const auto normal = draw(normal_, NoiseSite::cell_drift, row, row.operand, chip_level, count);
        drift_kernel(conductance_S.data(), normal.data(), static_cast<float>(params_.drift_exponent),
                     static_cast<float>(params_.drift_exponent_sigma), halvings_, count);
    } else if (halvings_ > 0) {
        drifted = static_cast<float>(std::exp2(-params_.drift_exponent * static_cast<double>(halvings_)));
    }
    if (drifted < 1 || kept_ < 1) {
        decay_kernel(conductance_S.data(), drifted, kept_, window_.min_S, count);
    }
    clamp(conductance_S);
}

void CellWriter::stick(std::span<float> conductance_S, const CellRow& row) {
    const auto normal =
        draw(normal_, NoiseSite::cell_fault, row, row.operand, chip_level, conductance_S.size());
    stick_kernel(conductance_S.data(), normal.data(), stuck_low_, stuck_high_, window_.min_S, window_.max_S,
                 conductance_S.size());
}

void CellWriter::keep_read_noise(std::span<float> conductance_S, const CellRow& row) {
    const NoiseSite site = storage_ == Storage::stationary ? NoiseSite::weight_read : NoiseSite::operand_read;
    read_noise_(conductance_S, draw(normal_, site, row, row.operand, row.image, conductance_S.size()));
}

void CellWriter::clamp(std::span<float> conductance_S) const {
    if (params_.clamp == Clamp::none) return;
    clamp_kernel(conductance_S.data(), bounds_.low_S, bounds_.high_S, conductance_S.size());
}

double mean_writes(const DeviceParams& params, const WriteVerify& verify,
                   std::span<const float> conductance_S) {
    const double tolerance_S = verify.tolerance * static_cast<double>(conductance_window(params).span_S());
    DeviceParams unlimited = params;
    unlimited.clamp = Clamp::none;
    const WriteNoise noise = WriteNoise::of_written_operands(unlimited);
    double sum = 0;
    for (const float aim_S : conductance_S) {
        // A write that is one deviation off.
        const float one = 1;
        float missed_S = aim_S;
        noise({&missed_S, 1}, {&one, 1});
        const auto deviation_S = static_cast<double>(missed_S) - static_cast<double>(aim_S);
        const double outside = deviation_S > 0 ? std::erfc(tolerance_S / deviation_S / std::sqrt(2.0)) : 0;
        double chance = 1;
        for (std::uint32_t write = 0; write <= verify.iterations; ++write, chance *= outside) sum += chance;
    }
    return sum / static_cast<double>(conductance_S.size());
}

bool draws_per_chip(const DeviceParams& params, Storage storage) {
    const bool of_cells =
        spreads(params) || sticks(params) || (drifts(params, storage) && params.drift_exponent_sigma > 0);
    if (storage == Storage::written) return of_cells;
    return of_cells || keeps_read_noise(params) || params.programming_noise_sigma > 0;
}

}  // namespace crossweep::device
