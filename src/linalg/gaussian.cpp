#include "crossweep/linalg/gaussian.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::linalg {
namespace {

constexpr std::size_t lanes = 16;  // Philox blocks side by side
constexpr std::size_t group = normal_group;
static_assert(group == 4 * lanes);  // a Philox block gives four words
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

/// Sixteen 32-bit lanes as eight 64-bit ones, the even lane in the low half: so that the 32 x 32 -> 64 bit
/// products of Philox stay in their places. Left to itself the compiler widens and narrows every product,
/// which costs a third.
using LanePairs = std::uint64_t __attribute__((vector_size(8 * lanes / 2)));

CROSSWEEP_MULTIVERSION
void fill_groups(std::uint32_t key0, std::uint32_t key1, std::uint32_t counter0, std::uint32_t counter1,
                 std::uint32_t counter2, std::uint32_t first_group, float* __restrict out,
                 std::size_t groups) {
    constexpr std::uint64_t both_halves = 0x100000001ULL;
    const LanePairs low_half = LanePairs{} + 0xffffffffULL;
    for (std::size_t g = 0; g < groups; ++g) {
        float* __restrict block = out + group * g;
        const std::uint32_t base =
            (first_group + static_cast<std::uint32_t>(g)) * static_cast<std::uint32_t>(lanes);
        LanePairs x0 = LanePairs{} + both_halves * counter0, x1 = LanePairs{} + both_halves * counter1;
        LanePairs x2 = LanePairs{} + both_halves * counter2, x3;
        for (std::uint32_t pair = 0; pair < lanes / 2; ++pair) {
            const std::uint64_t element = base + 2 * pair;
            x3[pair] = element | (element + 1) << 32;
        }
        std::uint32_t k0 = key0, k1 = key1;
        for (int round = 0; round < 10; ++round) {
            // Products of the even and of the odd lanes, then their high and low halves put back in place.
            // Written out: vector arithmetic in a function of its own would be lowered to the portable
            // instruction set.
            const LanePairs p_even = (x0 & low_half) * 0xD2511F53U, p_odd = (x0 >> 32) * 0xD2511F53U;
            const LanePairs q_even = (x2 & low_half) * 0xCD9E8D57U, q_odd = (x2 >> 32) * 0xCD9E8D57U;
            x0 = ((q_even >> 32) | (q_odd & ~low_half)) ^ x1 ^ (LanePairs{} + both_halves * k0);
            x1 = (q_even & low_half) | (q_odd << 32);
            x2 = ((p_even >> 32) | (p_odd & ~low_half)) ^ x3 ^ (LanePairs{} + both_halves * k1);
            x3 = (p_even & low_half) | (p_odd << 32);
            k0 += 0x9E3779B9U;
            k1 += 0xBB67AE85U;
        }
        const auto words0 = std::bit_cast<std::array<std::uint32_t, lanes>>(x0);
        const auto words1 = std::bit_cast<std::array<std::uint32_t, lanes>>(x1);
        const auto words2 = std::bit_cast<std::array<std::uint32_t, lanes>>(x2);
        const auto words3 = std::bit_cast<std::array<std::uint32_t, lanes>>(x3);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const float radius0 = radius(words0[lane]), radius1 = radius(words2[lane]);
            const Direction direction0 = direction(words1[lane]), direction1 = direction(words3[lane]);
            block[lane] = radius0 * direction0.cosine;
            block[lanes + lane] = radius0 * direction0.sine;
            block[2 * lanes + lane] = radius1 * direction1.cosine;
            block[3 * lanes + lane] = radius1 * direction1.sine;
        }
    }
}

}  // namespace

void fill_normal(StreamKey key, DrawIdentity row, std::span<float> out) {
    fill_normal(key, row, 0, out);
}

void fill_normal(StreamKey key, DrawIdentity row, std::size_t first, std::span<float> out) {
    if (first % group != 0 || (first + out.size()) / 4 >= (std::size_t{1} << 32))
        throw InternalError("a row of draws begins off its groups or is longer than the random stream's");
    const auto first_group = static_cast<std::uint32_t>(first / group);
    const std::size_t whole = out.size() / group;
    fill_groups(key.seed, key.trial, row.site_layer_operand, row.image, row.row, first_group, out.data(),
                whole);
    const std::size_t rest = out.size() % group;
    if (rest == 0) return;
    std::array<float, group> last;
    fill_groups(key.seed, key.trial, row.site_layer_operand, row.image, row.row,
                first_group + static_cast<std::uint32_t>(whole), last.data(), 1);
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
