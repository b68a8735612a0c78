// oneDNN's products of bytes were tried first: without VNNI they saturate 16-bit partial sums, so that
// results would depend on the processor; weights of 256 levels and a sign need two of them; and they pack the
// weights anew at every call. These kernels are exact everywhere and as fast per multiplication.
#include "crossweep/linalg/integer_product.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "crossweep/core/error.hpp"

#if CROSSWEEP_X86
#include <immintrin.h>
#endif

namespace crossweep::linalg {
namespace {

using Eigen::Index;

// Everywhere: x:[row, lane, input of lane]  w:[lane, output, input of lane]  sums:[row, output]
template <class Input, class Weight>
struct Operands {
    static_assert(sizeof(Input) == sizeof(Weight));
    static constexpr Index group = inputs_per_lane<Input>;
    const Input* x;
    Index stride, rows, lanes;
    const Weight* w;
    std::int32_t* sums;

    Operands from_row(Index row) const {
        return {x + row * stride, stride, rows - row, lanes, w, sums + row * output_block};
    }
};

template <class Input, class Weight>
void multiply_portably(const Operands<Input, Weight>& o) {
    constexpr Index group = o.group;
    std::fill_n(o.sums, o.rows * output_block, 0);
    for (Index row = 0; row < o.rows; ++row) {
        std::int32_t* sum = o.sums + row * output_block;
        for (Index lane = 0; lane < o.lanes; ++lane) {
            const Input* x = o.x + row * o.stride + lane * group;
            const Weight* w = o.w + lane * output_block * group;
            for (Index output = 0; output < output_block; ++output)
                for (Index i = 0; i < group; ++i) sum[output] += x[i] * w[output * group + i];
        }
    }
}

#if CROSSWEEP_X86

std::int32_t lane_at(const void* codes) {
    std::int32_t lane = 0;
    std::memcpy(&lane, codes, sizeof lane);
    return lane;
}

// GCC 12 keeps the sums in memory unless the loops over them are unrolled early, at a third of the speed.
#define CROSSWEEP_UNROLL _Pragma("GCC unroll 8")

/// `rows` rows by 64 outputs in 4 `rows` registers: 6 rows fill the register file.
template <int rows, class Input, class Weight>
CROSSWEEP_TARGET_AVX512 void multiply_tile_avx512(const Operands<Input, Weight>& o) {
    constexpr int vectors = 4;
    __m512i sum[rows][vectors];
    CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) {
        CROSSWEEP_UNROLL for (int v = 0; v < vectors; ++v) sum[row][v] = _mm512_setzero_si512();
    }
    const auto* weights = reinterpret_cast<const __m512i*>(o.w);
    for (Index lane = 0; lane < o.lanes; ++lane, weights += vectors) {
        __m512i w[vectors];
        CROSSWEEP_UNROLL for (int v = 0; v < vectors; ++v) w[v] = _mm512_loadu_si512(weights + v);
        CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) {
            const __m512i x = _mm512_set1_epi32(lane_at(o.x + row * o.stride + lane * o.group));
            CROSSWEEP_UNROLL for (int v = 0; v < vectors; ++v) {
                if constexpr (sizeof(Input) == 1)
                    sum[row][v] = _mm512_dpbusd_epi32(sum[row][v], x, w[v]);
                else
                    sum[row][v] = _mm512_dpwssd_epi32(sum[row][v], x, w[v]);
            }
        }
    }
    CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) {
        CROSSWEEP_UNROLL for (int v = 0; v < vectors; ++v)
            _mm512_storeu_si512(o.sums + row * output_block + 16 * v, sum[row][v]);
    }
}

template <class Input, class Weight>
void multiply_avx512(Operands<Input, Weight> o) {
    using Tile = void (*)(const Operands<Input, Weight>&);
    constexpr std::array<Tile, 6> tiles{
        multiply_tile_avx512<1, Input, Weight>, multiply_tile_avx512<2, Input, Weight>,
        multiply_tile_avx512<3, Input, Weight>, multiply_tile_avx512<4, Input, Weight>,
        multiply_tile_avx512<5, Input, Weight>, multiply_tile_avx512<6, Input, Weight>};
    while (o.rows > 0) {
        const Index rows = std::min<Index>(o.rows, tiles.size());
        tiles[static_cast<std::size_t>(rows - 1)](o);
        o = o.from_row(rows);
    }
}

/// The 16 words that `codes` begins with; bytes are widened, so that no product can saturate.
template <class Weight>
CROSSWEEP_TARGET_AVX2 inline __m256i load_words(const Weight* codes) {
    if constexpr (sizeof(Weight) == 1)
        return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    else
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
}

template <class Input>
CROSSWEEP_TARGET_AVX2 inline __m256i repeat_lane(const Input* codes) {
    if constexpr (sizeof(Input) == 1)
        return _mm256_cvtepu8_epi16(_mm_set1_epi32(lane_at(codes)));
    else
        return _mm256_set1_epi32(lane_at(codes));
}

/// `rows` rows by the outputs of two vectors of 16 words: 16 outputs of words, 8 of bytes, whose sums then
/// stand in pairs of lanes.
template <int rows, class Input, class Weight>
CROSSWEEP_TARGET_AVX2 void multiply_tile_avx2(const Operands<Input, Weight>& o) {
    constexpr Index group = o.group, outputs = 32 / group;
    for (Index first = 0; first < output_block; first += outputs) {
        __m256i sum[rows][2];
        CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) sum[row][0] = sum[row][1] =
            _mm256_setzero_si256();
        for (Index lane = 0; lane < o.lanes; ++lane) {
            const Weight* w = o.w + (lane * output_block + first) * group;
            const __m256i w0 = load_words(w), w1 = load_words(w + 16);
            CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) {
                const __m256i x = repeat_lane(o.x + row * o.stride + lane * group);
                sum[row][0] = _mm256_add_epi32(sum[row][0], _mm256_madd_epi16(x, w0));
                sum[row][1] = _mm256_add_epi32(sum[row][1], _mm256_madd_epi16(x, w1));
            }
        }
        CROSSWEEP_UNROLL for (int row = 0; row < rows; ++row) {
            auto* to = reinterpret_cast<__m256i*>(o.sums + row * output_block + first);
            if constexpr (sizeof(Input) == 1) {
                _mm256_storeu_si256(
                    to, _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[row][0], sum[row][1]), 0b11011000));
            } else {
                _mm256_storeu_si256(to, sum[row][0]);
                _mm256_storeu_si256(to + 1, sum[row][1]);
            }
        }
    }
}

template <class Input, class Weight>
void multiply_avx2(Operands<Input, Weight> o) {
    for (; o.rows >= 4; o = o.from_row(4)) multiply_tile_avx2<4>(o);
    for (; o.rows > 0; o = o.from_row(1)) multiply_tile_avx2<1>(o);
}

#else

template <class Input, class Weight>
void multiply_avx512(const Operands<Input, Weight>&) {}
template <class Input, class Weight>
void multiply_avx2(const Operands<Input, Weight>&) {}

#endif

template <class Input, class Weight>
void multiply(const CodeRows<Input>& x, const PackedCodes<Weight>& w, Index block, std::int32_t* sums,
              InstructionSet set) {
    if (x.inputs() != w.inputs() || block >= w.blocks() || set > best_instruction_set())
        throw InternalError("a product of codes of different inputs, or for another processor");
    const Operands<Input, Weight> operands{x.row(0), x.stride(), x.rows(), w.lanes(), w.block(block), sums};
    switch (set) {
        case InstructionSet::avx512:
            return multiply_avx512(operands);
        case InstructionSet::avx2:
            return multiply_avx2(operands);
        case InstructionSet::portable:
            return multiply_portably(operands);
    }
}

}  // namespace

void multiply_block(const WordRows& x, const PackedWords& w, Index block, std::int32_t* sums,
                    InstructionSet set) {
    multiply(x, w, block, sums, set);
}

void multiply_block(const ByteRows& x, const PackedBytes& w, Index block, std::int32_t* sums,
                    InstructionSet set) {
    multiply(x, w, block, sums, set);
}

}  // namespace crossweep::linalg
