#include "crossweep/linalg/gaussian.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "normal_quantile_table.hpp"

namespace crossweep::linalg {
namespace {

constexpr std::size_t group = normal_group;

#if defined(CROSSWEEP_MANY_VERSIONS)

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define CROSSWEEP_VECTOR_BYTES 64
namespace v4 {
#include "normal_kernel.hpp"
}
#undef CROSSWEEP_VECTOR_BYTES
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define CROSSWEEP_VECTOR_BYTES 32
namespace v3 {
#include "normal_kernel.hpp"
}
#undef CROSSWEEP_VECTOR_BYTES
#pragma GCC pop_options

#define CROSSWEEP_VECTOR_BYTES 16
#elif defined(__AVX512DQ__)
#define CROSSWEEP_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define CROSSWEEP_VECTOR_BYTES 32
#else
#define CROSSWEEP_VECTOR_BYTES 16
#endif
namespace base {
#include "normal_kernel.hpp"
}

struct Kernel {
    decltype(&base::fill_words) fill_words;
    decltype(&base::words_to_normals) words_to_normals;
};

/// The widest that the processor has.
const Kernel& kernel() {
    static const Kernel widest = [] {
#if defined(CROSSWEEP_MANY_VERSIONS)
        if (__builtin_cpu_supports("x86-64-v4")) return Kernel{v4::fill_words, v4::words_to_normals};
        if (__builtin_cpu_supports("x86-64-v3")) return Kernel{v3::fill_words, v3::words_to_normals};
#endif
        return Kernel{base::fill_words, base::words_to_normals};
    }();
    return widest;
}

/// Words and then normals in `out`, a piece at a time that the first level of cache holds between the two.
void fill_groups(StreamKey key, DrawIdentity row, std::uint32_t first_group, float* out, std::size_t groups) {
    constexpr std::size_t most = 48;
    for (std::size_t done = 0; done < groups; done += most) {
        const std::size_t piece = std::min(most, groups - done);
        kernel().fill_words(key, row, first_group + static_cast<std::uint32_t>(done), out + group * done,
                            piece);
        kernel().words_to_normals(out + group * done, piece);
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
    fill_groups(key, row, first_group, out.data(), whole);
    const std::size_t rest = out.size() % group;
    if (rest == 0) return;
    std::array<float, group> last;
    fill_groups(key, row, first_group + static_cast<std::uint32_t>(whole), last.data(), 1);
    std::copy_n(last.begin(), rest, out.begin() + static_cast<std::ptrdiff_t>(group * whole));
}

void fill_words(StreamKey key, DrawIdentity row, std::size_t first, std::span<std::uint32_t> out) {
    if (first % group != 0 || (first + out.size()) / 4 >= (std::size_t{1} << 32))
        throw InternalError("a row of draws begins off its groups or is longer than the random stream's");
    std::array<float, group> words;
    for (std::size_t done = 0; done < out.size(); done += group) {
        kernel().fill_words(key, row, static_cast<std::uint32_t>((first + done) / group), words.data(), 1);
        std::memcpy(out.data() + done, words.data(), 4 * std::min(group, out.size() - done));
    }
}

void turn_words_into_normals(std::span<const std::uint32_t, normal_group> words,
                             std::span<float, normal_group> out) {
    std::memcpy(out.data(), words.data(), words.size_bytes());
    kernel().words_to_normals(out.data(), 1);
}

double normal_reference(std::uint32_t word) {
    const double magnitude = word == 0 ? 2.0 : std::abs(static_cast<double>(static_cast<std::int32_t>(word)));
    const double size =
        std::numbers::sqrt2 * boost::math::erfc_inv(magnitude / 2147483648.0);  // erfc_inv(2 u)
    return word >> 31 == 0 ? size : -size;
}

void fill_normal_reference(StreamKey key, DrawIdentity row, std::span<float> out) {
    for (std::size_t e = 0; e < out.size(); ++e) {
        const auto block = static_cast<std::uint32_t>(16 * (e / group) + e % 16);
        out[e] = static_cast<float>(normal_reference(philox_block(key, row, block)[(e % group) / 16]));
    }
}

}  // namespace crossweep::linalg
