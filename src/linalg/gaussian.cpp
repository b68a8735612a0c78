#include "crossweep/linalg/gaussian.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "crossweep/core/multiversion.hpp"

namespace crossweep::linalg {
namespace {

constexpr std::size_t lanes = 16;         // Philox blocks side by side
constexpr std::size_t group = 4 * lanes;  // normals that they give
constexpr std::uint32_t exponent_of_sqrt_half = 0x3f3504f3U;

/// sqrt(-2 ln u), u = (top 24 bits + 1/2) / 2^24. Logarithm: Cephes' logf polynomial, relative error below
/// 1e-7.
[[gnu::always_inline]] inline float radius(std::uint32_t bits) {
    const float scaled = static_cast<float>(static_cast<std::int32_t>(bits >> 8)) + 0.5F;
    const std::uint32_t shifted = std::bit_cast<std::uint32_t>(scaled) - exponent_of_sqrt_half;
    const float exponent = static_cast<float>((static_cast<std::int32_t>(shifted) >> 23) - 24);
    const float m = std::bit_cast<float>((shifted & 0x7fffffU) + exponent_of_sqrt_half) - 1.0F;
    float p = 7.0376836292e-2F;
    p = p * m - 1.1514610310e-1F;
    p = p * m + 1.1676998740e-1F;
    p = p * m - 1.2420140846e-1F;
    p = p * m + 1.4249322787e-1F;
    p = p * m - 1.6668057665e-1F;
    p = p * m + 2.0000714765e-1F;
    p = p * m - 2.4999993993e-1F;
    p = p * m + 3.3333331174e-1F;
    const float square = m * m;
    const float logarithm = p * m * square - 0.5F * square + m + exponent * 0.693147180560F;
    return __builtin_sqrtf(-2.0F * logarithm);
}

struct Direction {
    float cosine, sine;
};

/// Cosine and sine of 2 pi bits / 2^32. The two top bits (rounded) give the quadrant, Cephes' polynomials the
/// rest.
[[gnu::always_inline]] inline Direction direction(std::uint32_t bits) {
    const std::uint32_t quadrant = (bits + 0x20000000U) >> 30;
    const auto rest = static_cast<std::int32_t>(bits - (quadrant << 30));
    const float t = static_cast<float>(rest) * (std::numbers::pi_v<float> / 2 / 1073741824.0F);
    const float z = t * t;
    const float s = ((-1.9515295891e-4F * z + 8.3321608736e-3F) * z - 1.6666654611e-1F) * z * t + t;
    const float c =
        ((2.443315711809948e-5F * z - 1.388731625493765e-3F) * z + 4.166664568298827e-2F) * z * z - 0.5F * z +
        1.0F;
    const bool odd = (quadrant & 1U) != 0;
    const float sine = odd ? c : s;
    const float cosine = odd ? s : c;
    const std::uint32_t sine_sign = (quadrant & 2U) << 30;
    const std::uint32_t cosine_sign = ((quadrant + 1U) & 2U) << 30;
    return {std::bit_cast<float>(std::bit_cast<std::uint32_t>(cosine) ^ cosine_sign),
            std::bit_cast<float>(std::bit_cast<std::uint32_t>(sine) ^ sine_sign)};
}

CROSSWEEP_MULTIVERSION
void fill_groups(std::uint32_t key0, std::uint32_t key1, std::uint32_t counter0, std::uint32_t counter1,
                 std::uint32_t counter2, std::uint32_t first_group, float* __restrict out,
                 std::size_t groups) {
    for (std::size_t g = 0; g < groups; ++g) {
        float* __restrict block = out + group * g;
        const std::uint32_t base =
            (first_group + static_cast<std::uint32_t>(g)) * static_cast<std::uint32_t>(lanes);
        for (std::uint32_t lane = 0; lane < lanes; ++lane) {
            std::uint32_t x0 = counter0, x1 = counter1, x2 = counter2, x3 = base + lane, k0 = key0, k1 = key1;
            for (int round = 0; round < 10; ++round) {
                const std::uint64_t p = std::uint64_t{0xD2511F53U} * x0;
                const std::uint64_t q = std::uint64_t{0xCD9E8D57U} * x2;
                x0 = static_cast<std::uint32_t>(q >> 32) ^ x1 ^ k0;
                x1 = static_cast<std::uint32_t>(q);
                x2 = static_cast<std::uint32_t>(p >> 32) ^ x3 ^ k1;
                x3 = static_cast<std::uint32_t>(p);
                k0 += 0x9E3779B9U;
                k1 += 0xBB67AE85U;
            }
            const float radius0 = radius(x0), radius1 = radius(x2);
            const Direction direction0 = direction(x1), direction1 = direction(x3);
            block[lane] = radius0 * direction0.cosine;
            block[lanes + lane] = radius0 * direction0.sine;
            block[2 * lanes + lane] = radius1 * direction1.cosine;
            block[3 * lanes + lane] = radius1 * direction1.sine;
        }
    }
}

}  // namespace

void fill_normal(StreamKey key, DrawIdentity row, std::span<float> out) {
    const std::size_t whole = out.size() / group;
    fill_groups(key.seed, key.trial, row.site_layer_operand, row.image, row.row, 0, out.data(), whole);
    const std::size_t rest = out.size() % group;
    if (rest == 0) return;
    std::array<float, group> last;
    fill_groups(key.seed, key.trial, row.site_layer_operand, row.image, row.row,
                static_cast<std::uint32_t>(whole), last.data(), 1);
    std::copy_n(last.begin(), rest, out.begin() + static_cast<std::ptrdiff_t>(group * whole));
}

void fill_normal_reference(StreamKey key, DrawIdentity row, std::span<float> out) {
    for (std::size_t e = 0; e < out.size(); ++e) {
        const auto block = static_cast<std::uint32_t>(lanes * (e / group) + e % lanes);
        const std::size_t word = (e % group) / lanes;
        const auto words = philox_block(key, row, block);
        const std::uint32_t radius_bits = words[2 * (word / 2)], angle_bits = words[2 * (word / 2) + 1];
        const double u = (static_cast<double>(radius_bits >> 8) + 0.5) / 16777216.0;
        const double angle = 2 * std::numbers::pi * static_cast<double>(angle_bits) / 4294967296.0;
        const double size = std::sqrt(-2 * std::log(u));
        out[e] = static_cast<float>(size * (word % 2 == 0 ? std::cos(angle) : std::sin(angle)));
    }
}

}  // namespace crossweep::linalg
