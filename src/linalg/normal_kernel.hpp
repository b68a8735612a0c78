// Philox words and their normals in vectors of CROSSWEEP_VECTOR_BYTES. No include guard: gaussian.cpp
// compiles this once per instruction set, because under target_clones the compiler makes full 64-bit products
// of Philox's 32-bit ones, at twice the time. Multiplications and additions round one by one: all instruction
// sets give the same bits.

constexpr std::size_t vector_bytes = CROSSWEEP_VECTOR_BYTES;
constexpr std::size_t lanes = vector_bytes / sizeof(float);

using Words = std::uint32_t __attribute__((vector_size(vector_bytes)));
using Integers = std::int32_t __attribute__((vector_size(vector_bytes)));
using Floats = float __attribute__((vector_size(vector_bytes)));
using Octaves = const float[quantile_octaves];

/// Half as many Philox words, each in the low half of 64 bits; what the high half holds is without meaning.
/// So the products of Philox need no masks, and the state is never moved between lanes.
using WideWords = std::uint64_t __attribute__((vector_size(vector_bytes)));

/// The 64-bit products of the low halves with `factor`.
inline WideWords product(WideWords words, std::uint32_t factor) {
    const WideWords factors = WideWords{} + factor;
#if CROSSWEEP_VECTOR_BYTES == 64
    // The masked form with all lanes, as GCC 12 warns of its own header in the plain one (GCC bug 105593).
    return (WideWords)_mm512_maskz_mul_epu32(0xff, (__m512i)words, (__m512i)factors);
#elif CROSSWEEP_VECTOR_BYTES == 32
    return (WideWords)_mm256_mul_epu32((__m256i)words, (__m256i)factors);
#elif defined(__SSE2__)
    return (WideWords)_mm_mul_epu32((__m128i)words, (__m128i)factors);
#else
    return (words & 0xffffffffU) * factors;
#endif
}

/// Per lane the entry of its octave, the low five bits of `octave`.
inline Floats at(Octaves& entries, Words octave) {
#if CROSSWEEP_VECTOR_BYTES == 64
    return (Floats)_mm512_permutex2var_ps(_mm512_load_ps(entries), (__m512i)octave,
                                          _mm512_load_ps(entries + 16));
#elif CROSSWEEP_VECTOR_BYTES == 32
    const auto of_eight = [&](std::size_t first) {  // the low three bits
        return _mm256_permutevar8x32_ps(_mm256_load_ps(entries + first), (__m256i)octave);
    };
    const auto bit3 = (__m256)(octave << 28), bit4 = (__m256)(octave << 27);  // blends look at the sign
    return (Floats)_mm256_blendv_ps(_mm256_blendv_ps(of_eight(0), of_eight(8), bit3),
                                    _mm256_blendv_ps(of_eight(16), of_eight(24), bit3), bit4);
#else
    Floats found;
    for (std::size_t lane = 0; lane < lanes; ++lane) found[lane] = entries[octave[lane] % quantile_octaves];
    return found;
#endif
}

/// The normals of `words`: as signed fp32 numbers, the exponent is the octave and the mantissa, less 1.5, the
/// variable of the table's polynomial. Estrin's order of it, as the chain of Horner's is twice as long.
inline Floats normals_of(Words words) {
    const auto bits = (Words) __builtin_convertvector((Integers)words, Floats);
    const Words octave = bits >> 23;
    const Floats t = (Floats)((bits & 0x7fffffU) | 0x3f800000U) - 1.5F;
    const auto pair = [&](std::size_t n) {
        return at(quantile_table[n + 1], octave) * t + at(quantile_table[n], octave);
    };
    const Floats square = t * t;
    const Floats size =
        ((at(quantile_table[6], octave) * square + pair(4)) * square + pair(2)) * square + pair(0);
    return (Floats)((Words)size ^ (words & 0x80000000U));
}

/// Philox4x32-10 (Salmon et al., SC'11) of 16 blocks per group from `first_block` on, all of them side by
/// side, as one chain of products alone leaves the processor idle.
template <std::size_t groups>
[[gnu::always_inline]] inline void fill_words_at_once(StreamKey key, DrawIdentity row,
                                                      std::uint32_t first_block, float* out) {
    constexpr std::size_t sets = 16 * groups / lanes;  // a vector of even blocks and one of odd ones
    WideWords even_lanes, x[2 * sets][4];
    for (std::size_t lane = 0; lane < lanes / 2; ++lane) even_lanes[lane] = 2 * lane;
    for (std::size_t s = 0; s < 2 * sets; ++s) {
        x[s][0] = WideWords{} + row.site_layer_operand;
        x[s][1] = WideWords{} + row.image;
        x[s][2] = WideWords{} + row.row;
        x[s][3] = even_lanes + (first_block + static_cast<std::uint32_t>(lanes * (s / 2) + s % 2));
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const WideWords key0 = WideWords{} + key.seed, key1 = WideWords{} + key.trial;
#pragma GCC unroll 8
        for (std::size_t s = 0; s < 2 * sets; ++s) {
            const WideWords p = product(x[s][0], 0xD2511F53U), q = product(x[s][2], 0xCD9E8D57U);
            x[s][0] = (q >> 32) ^ x[s][1] ^ key0;
            x[s][1] = q;
            x[s][2] = (p >> 32) ^ x[s][3] ^ key1;
            x[s][3] = p;
        }
        key.seed += 0x9E3779B9U;
        key.trial += 0xBB67AE85U;
    }
    for (std::size_t s = 0; s < sets; ++s) {
        float* const block = out + 64 * (s * lanes / 16) + s * lanes % 16;
        for (std::size_t k = 0; k < 4; ++k) {
            const WideWords words = (x[2 * s][k] & 0xffffffffU) | (x[2 * s + 1][k] << 32);
            std::memcpy(block + 16 * k, &words, vector_bytes);
        }
    }
}

/// The Philox words of whole groups, as bits: word k of block b at out[64 (b / 16) + 16 k + b % 16].
void fill_words(StreamKey key, DrawIdentity row, std::uint32_t first_group, float* out, std::size_t groups) {
    constexpr std::size_t at_once = vector_bytes == 64 ? 3 : 1;  // what the registers hold
    std::size_t g = 0;
    for (; g + at_once <= groups; g += at_once)
        fill_words_at_once<at_once>(key, row, 16 * (first_group + static_cast<std::uint32_t>(g)),
                                    out + 64 * g);
    for (; g < groups; ++g)
        fill_words_at_once<1>(key, row, 16 * (first_group + static_cast<std::uint32_t>(g)), out + 64 * g);
}

/// Put the normals of whole groups of words in their place.
void words_to_normals(float* out, std::size_t groups) {
    for (std::size_t g = 0; g < 64 * groups; g += 4 * lanes) {
#pragma GCC unroll 4
        for (std::size_t e = g; e < g + 4 * lanes; e += lanes) {
            Words words;
            std::memcpy(&words, out + e, vector_bytes);
            const Floats normals = normals_of(words);
            std::memcpy(out + e, &normals, vector_bytes);
        }
    }
}
