// One product on one 64 x 64 array, worked out by hand: cells, input bits, column sums, codes of the ADC,
// shift and add. Every number here can be checked with pencil and paper.
//
//   Array     64 x 64 cells of 2 bits; a weight of 8 bits takes 4 slices, each with a positive and a negative
//             column. Cells from 0.1 uS (digit 0) to 10 uS (digit 3), 3.3 uS a digit.
//   Inputs    8 bits in two's complement, one bit a cycle: the sign, which counts -128, then 1, 2, 4, ... 64.
//   ADC       6 bits over the full range of a column, 64 rows x digit 3 = 192: a step is 192 / 63 = 3.05.
//
// Scales are 1 throughout: the largest weight is 255 and the largest input 127.
#include <gtest/gtest.h>

#include "crossbar/chip.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Matrix;

// ---- The operands
//
// Inputs: rows 0 to 39 ("upper") have 127, rows 40 to 63 ("lower") have -127.
constexpr Index rows = 64, upper = 40, lower = 24;

Matrix inputs() {
    Matrix x(1, rows);
    x.leftCols(upper).setConstant(127);
    x.rightCols(lower).setConstant(-127);
    return x;
}

// Weights: every output is one of four kinds, output j of kind j % 4.
//
//   kind    upper rows   lower rows   exact product
//   full          255          255    255 * 127 * (40 - 24)              =  518 160
//   ladder         27           27     27 * 127 * (40 - 24)              =   54 864
//   mixed          27         -100     27 * 127 * 40 + 100 * 127 * 24    =  441 960
//   empty           0            0                                              0
enum Kind : Index { full, ladder, mixed, empty };
constexpr float weight_of_upper[] = {255, 27, 27, 0}, weight_of_lower[] = {255, 27, -100, 0};
constexpr float exact_product[] = {518'160, 54'864, 441'960, 0};

Matrix weights() {  // [output, input]
    Matrix w(64, rows);
    for (Index output = 0; output < 64; ++output) {
        w.row(output).head(upper).setConstant(weight_of_upper[output % 4]);
        w.row(output).tail(lower).setConstant(weight_of_lower[output % 4]);
    }
    return w;
}

CrossbarParams converters(std::uint32_t adc_bits) {
    CrossbarParams params;  // 256 levels, 8-bit inputs, 64 x 64 arrays, differential, bit by bit
    params.adc_bits = adc_bits;
    params.adc_range = AdcRange::full;
    return params;
}

/// What the engine makes of it, by kind; all outputs of one kind must agree.
std::vector<float> product(const CrossbarParams& crossbar) {
    const BlockShape shape{.tokens = 1, .width = 64, .hidden = 64, .heads = 1};
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.crossbar = crossbar;
    Chip chip(params, std::make_unique<BlockWeights>(shape, Matrix::Ones(3 * 64, 64), weights()));
    const Matrix x = inputs();
    Matrix y(1, 64);
    chip.engine().multiply(1, linalg::const_view(x), linalg::view(y));
    for (Index output = 4; output < 64; ++output) EXPECT_EQ(y(0, output), y(0, output % 4));
    return {y.data(), y.data() + 4};
}

// ---- Step 1: the cells
//
// Digits of the magnitudes, lowest slice first (they count 1, 4, 16, 64):
//   255 = 3 + 3 * 4 + 3 * 16 + 3 * 64
//    27 = 3 + 2 * 4 + 1 * 16 + 0 * 64
//   100 = 0 + 1 * 4 + 2 * 16 + 1 * 64
// Positive weights stand in the positive columns, negative ones in the negative columns; the other cell of
// the pair stays at digit 0.
TEST(Product64x64, step_1_weights_are_digits_on_cells) {
    CellLayout layout = cell_layout(Fidelity::circuit, Mapping::differential, 2, 255, 255);
    const std::vector<float> code{255, 27, 100}, sign{1, 1, -1};
    const std::vector<std::vector<float>> positive{{3, 3, 0}, {3, 2, 0}, {3, 1, 0}, {3, 0, 0}};
    const std::vector<std::vector<float>> negative{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 1}};
    ASSERT_EQ(layout.planes.size(), 8U);
    for (const Plane& plane : layout.planes) {
        std::vector<float> digit(3);
        to_digit(layout, plane, code, sign, digit);
        EXPECT_EQ(digit, (plane.sign == PlaneSign::positive ? positive : negative)[plane.slice]);
    }
    EXPECT_EQ(layout.planes[0].significance, 1);
    EXPECT_EQ(layout.planes[1].significance, -1);
    EXPECT_EQ(layout.planes[6].significance, 64);
    EXPECT_EQ(layout.planes[7].significance, -64);
}

// ---- Step 2: the input bits
//
//    127 = 0111 1111 in two's complement: no sign, bits 0 to 6
//   -127 = 1000 0001:                     the sign and bit 0
//
//   cycle            counts      upper rows   lower rows
//   sign             -128             0            1
//   bit 0               1             1            1
//   bits 1 … 6     2 … 64 (126)       1            0
TEST(Product64x64, step_2_inputs_are_bits_in_eight_cycles) {
    const Matrix x = inputs();
    InputConverter converter(converters(6));
    converter.convert(linalg::const_view(x), InputSign::both);
    const Matrix bits = converter.digits();  // [cycle, row]
    EXPECT_EQ(Matrix(bits.col(0).transpose()), (Matrix(1, 8) << 0, 1, 1, 1, 1, 1, 1, 1).finished());
    EXPECT_EQ(Matrix(bits.col(63).transpose()), (Matrix(1, 8) << 1, 1, 0, 0, 0, 0, 0, 0).finished());
    std::vector<float> counts;
    for (const Cycle& cycle : converter.cycles()) counts.push_back(cycle.weight);
    EXPECT_EQ(counts, (std::vector<float>{-128, 1, 2, 4, 8, 16, 32, 64}));
}

// ---- Step 3: the column sums and their codes
//
// A column of kind "full" in bit 0: 64 cells of 10 uS conduct, 640 uS together; the reference column of cells
// at G_min takes off 64 * 0.1 uS = 6.4 uS; what remains, 633.6 uS, is 192 digits of 3.3 uS.
//
// A column with digit u in the upper and l in the lower rows has the sum
//   sign: 24 l        bit 0: 40 u + 24 l        bits 1 … 6: 40 u
// and the 6-bit ADC gives the code nearest to sum * 63 / 192:
//
//   digits          sums               sum * 63 / 192         codes
//   u = 3, l = 3    72, 192, 120       23.6  63.0  39.4       24, 63, 39
//   u = 2, l = 2    48, 128,  80       15.8  42.0  26.3       16, 42, 26
//   u = 1, l = 1    24,  64,  40        7.9  21.0  13.1        8, 21, 13
//   u = 3, l = 0     0, 120, 120        0    39.4  39.4        0, 39, 39
//   u = 2, l = 0     0,  80,  80        0    26.3  26.3        0, 26, 26
//   u = 1, l = 0     0,  40,  40        0    13.1  13.1        0, 13, 13
//   u = 0, l = 2    48,  48,   0       15.8  15.8   0         16, 16,  0
//   u = 0, l = 1    24,  24,   0        7.9   7.9   0          8,  8,  0
//
// The cycles add up with what they count: -128 * code(sign) + 1 * code(bit 0) + 126 * code(bits 1 … 6).
struct Column {
    float upper_digit, lower_digit, code;
};
constexpr Column columns[] = {
    {3, 3, -128 * 24 + 63 + 126 * 39},  //  1905
    {2, 2, -128 * 16 + 42 + 126 * 26},  //  1270
    {1, 1, -128 * 8 + 21 + 126 * 13},   //   635
    {3, 0, 39 + 126 * 39},              //  4953
    {2, 0, 26 + 126 * 26},              //  3302
    {1, 0, 13 + 126 * 13},              //  1651
    {0, 2, -128 * 16 + 16},             // -2032
    {0, 1, -128 * 8 + 8},               // -1016
};

TEST(Product64x64, step_3_six_bits_round_the_column_sums) {
    const CrossbarParams params = converters(6);
    const CellLayout layout = cell_layout(Fidelity::circuit, Mapping::differential, 2, 255, 255);
    const AdcBank adc(params, layout, nullptr, {{}, LayerId(0), linalg::Role::mlp_in, 1, 1});
    EXPECT_FLOAT_EQ(adc.step(0), 192.0F / 63);
    for (const Column& column : columns) {
        const float on_lower = 24 * column.lower_digit, on_upper = 40 * column.upper_digit;
        std::vector<float> sums{on_lower, on_upper + on_lower};
        sums.resize(8, on_upper);  // bits 1 … 6
        std::vector<double> converted(1);
        adc.convert(layout.planes[0], 0, 0, input_cycles(params, InputSign::both), sums, converted);
        EXPECT_NEAR(converted[0] * 63 / 192, column.code, 1e-3);
    }
}

// ---- Step 4: shift and add over the slices, then one step back to weights times inputs
//
//   full    1905 * (1 + 4 + 16 + 64)                        =  161 925   * 192 / 63 = 493 485.7   (-4.8 %)
//   ladder  1905 + 4 * 1270 + 16 * 635                      =   17 145   * 192 / 63 =  52 251.4   (-4.8 %)
//   mixed   positive  4953 + 4 * 3302 + 16 * 1651           =   44 577
//           negative  4 * -1016 + 16 * -2032 + 64 * -1016   = -101 600
//           positive - negative                             =  146 177   * 192 / 63 = 445 491.8   (+0.8 %)
TEST(Product64x64, six_bits_lose_a_few_percent) {
    const std::vector<float> y = product(converters(6));
    EXPECT_NEAR(y[full], 493'485.7, 0.1);
    EXPECT_NEAR(y[ladder], 52'251.4, 0.1);
    EXPECT_NEAR(y[mixed], 445'491.8, 0.1);
    EXPECT_EQ(y[empty], 0);
}

// 192 levels fit into 8 bits: a step is one level, and nothing is lost. 7 bits have 127 codes, too few.
TEST(Product64x64, eight_bits_are_exact) {
    const std::vector<float> y = product(converters(8));
    for (const Kind kind : {full, ladder, mixed, empty}) EXPECT_EQ(y[kind], exact_product[kind]);
    EXPECT_NE(product(converters(7))[full], exact_product[full]);
}

// Six bits with a step of one level clip every sum at 63 instead. For "full", 72, 192 and 120 all become 63:
//   63 * (-128 + 1 + 126) = -63 in each slice, times 85: -5355. Not even the sign is right.
// "ladder": sums of slice 0 as before: -63. Slice 1: 48, 128, 80 -> 48, 63, 63: -6144 + 63 + 7938 = 1857.
//   Slice 2: 24, 64, 40 -> 24, 63, 40: -3072 + 63 + 5040 = 2031. -63 + 4 * 1857 + 16 * 2031 = 39 861.
TEST(Product64x64, six_bits_of_one_level_each_clip) {
    CrossbarParams params = converters(6);
    params.adc_range = AdcRange::given;
    params.adc_range_top = 63;
    const std::vector<float> y = product(params);
    EXPECT_EQ(y[full], -5355);
    EXPECT_EQ(y[ladder], 39'861);
}

// By sign and magnitude, the upper rows come in the positive cycles and the lower in the negative ones, each
// with all seven bits on: 127 * (code of 40 u) - 127 * (code of 24 l).
//   full   sums 120 and 72, codes 39 and 24: 127 * 15 = 1905 in each slice, the same as before.
//   mixed  positive columns as before, 127 * (39, 26, 13); negative ones -127 * (8, 16, 8) as before, too.
TEST(Product64x64, sign_and_magnitude_round_the_same_sums_apart) {
    CrossbarParams params = converters(6);
    params.input_encoding = InputEncoding::sign_magnitude;
    const std::vector<float> y = product(params);
    EXPECT_NEAR(y[full], 493'485.7, 0.1);
    EXPECT_NEAR(y[mixed], 445'491.8, 0.1);
    params.adc_bits = 8;
    for (const Kind kind : {full, ladder, mixed, empty})
        EXPECT_EQ(product(params)[kind], exact_product[kind]);
}

}  // namespace
}  // namespace crossweep::crossbar
