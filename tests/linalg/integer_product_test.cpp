// Integer products against the definition, in 64 bits, on every instruction set that this processor has.
#include "crossweep/linalg/integer_product.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "crossweep/core/error.hpp"

namespace crossweep::linalg {
namespace {

using Eigen::Index;

struct Shape {
    Index rows, outputs, inputs;
};
constexpr Shape shapes[] = {{1, 1, 1},   {1, 64, 4},    {5, 63, 7},     {6, 65, 2},
                            {7, 64, 64}, {13, 197, 61}, {197, 384, 96}, {12, 130, 1537}};

template <class Input, class Weight>
std::int64_t sum_by_definition(const CodeRows<Input>& x, const PackedCodes<Weight>& w, Index row,
                               Index output) {
    std::int64_t sum = 0;
    for (Index i = 0; i < x.inputs(); ++i) sum += std::int64_t{x.row(row)[i]} * w.at(output, i);
    return sum;
}

/// Compare all sums of codes that `draw_x` and `draw_w` give.
template <class Input, class Weight>
void expect_exact(InstructionSet set, const Shape& shape, auto draw_x, auto draw_w) {
    CodeRows<Input> x;
    PackedCodes<Weight> w;
    x.shape(shape.rows, shape.inputs);
    w.shape(shape.outputs, shape.inputs);
    for (Index row = 0; row < shape.rows; ++row)
        for (Index i = 0; i < shape.inputs; ++i) x.row(row)[i] = static_cast<Input>(draw_x());
    std::vector<Weight> of_output(static_cast<std::size_t>(shape.inputs));
    for (Index output = 0; output < shape.outputs; ++output) {
        for (Weight& code : of_output) code = static_cast<Weight>(draw_w());
        w.set_output(output, of_output);
    }
    std::vector<std::int32_t> sums(static_cast<std::size_t>(shape.rows * output_block));
    for (Index block = 0; block < w.blocks(); ++block) {
        multiply_block(x, w, block, sums.data(), set);
        for (Index row = 0; row < shape.rows; ++row) {
            for (Index o = 0; o < output_block; ++o) {
                const Index output = block * output_block + o;
                const std::int64_t expected =
                    output < shape.outputs ? sum_by_definition(x, w, row, output) : 0;
                ASSERT_EQ(sums[static_cast<std::size_t>(row * output_block + o)], expected)
                    << shape.rows << " x " << shape.outputs << " x " << shape.inputs << ", row " << row
                    << ", output " << output;
            }
        }
    }
}

class IntegerProduct : public testing::TestWithParam<InstructionSet> {
  protected:
    void SetUp() override {
        if (GetParam() > best_instruction_set()) GTEST_SKIP() << "this processor lacks it";
    }
    auto uniform(int low, int high) {
        return [this, range = std::uniform_int_distribution<int>(low, high)]() mutable {
            return range(generator_);
        };
    }

  private:
    std::mt19937 generator_{7};
};

TEST_P(IntegerProduct, of_words_is_exact) {
    for (const Shape& shape : shapes)
        expect_exact<std::int16_t, std::int16_t>(GetParam(), shape, uniform(-127, 127), uniform(-255, 255));
}

TEST_P(IntegerProduct, of_bytes_is_exact) {
    for (const Shape& shape : shapes)
        expect_exact<std::uint8_t, std::int8_t>(GetParam(), shape, uniform(0, 255), uniform(-128, 127));
}

// Where partial sums of 16 bits would saturate, or signs be lost.
TEST_P(IntegerProduct, of_extreme_codes_is_exact) {
    for (const int x : {-127, 127})
        for (const int w : {-255, 255})
            expect_exact<std::int16_t, std::int16_t>(
                GetParam(), {7, 65, 1536}, [=] { return x; }, [=] { return w; });
    for (const int w : {-32767, 32767})
        expect_exact<std::int16_t, std::int16_t>(
            GetParam(), {7, 65, 2}, [] { return 32767; }, [=] { return w; });
    for (const int x : {0, 127, 128, 255})
        for (const int w : {-128, 0, 127})
            expect_exact<std::uint8_t, std::int8_t>(
                GetParam(), {7, 65, 1536}, [=] { return x; }, [=] { return w; });
}

INSTANTIATE_TEST_SUITE_P(Paths, IntegerProduct,
                         testing::Values(InstructionSet::portable, InstructionSet::avx2,
                                         InstructionSet::avx512),
                         [](const auto& path) {
                             return std::string(path.param == InstructionSet::portable ? "portable"
                                                : path.param == InstructionSet::avx2   ? "avx2"
                                                                                       : "avx512");
                         });

TEST(PackedCodes, can_be_filled_by_outputs_or_by_inputs) {
    PackedBytes by_outputs, by_inputs;
    by_outputs.shape(67, 5);
    by_inputs.shape(67, 5);
    const auto code = [](Index output, Index input) { return static_cast<std::int8_t>(output + 7 * input); };
    for (Index output = 0; output < 67; ++output) {
        std::vector<std::int8_t> codes;
        for (Index input = 0; input < 5; ++input) codes.push_back(code(output, input));
        by_outputs.set_output(output, codes);
    }
    for (Index input = 0; input < 5; ++input) {
        std::vector<std::int8_t> codes;
        for (Index output = 0; output < 67; ++output) codes.push_back(code(output, input));
        by_inputs.set_input(input, codes);
    }
    for (Index output = 0; output < 67; ++output)
        for (Index input = 0; input < 5; ++input) {
            EXPECT_EQ(by_outputs.at(output, input), code(output, input));
            EXPECT_EQ(by_inputs.at(output, input), code(output, input));
        }
}

TEST(IntegerProductShapes, refuses_operands_of_different_inputs) {
    WordRows x;
    PackedWords w;
    x.shape(2, 3);
    w.shape(2, 4);
    std::vector<std::int32_t> sums(2 * output_block);
    EXPECT_THROW(multiply_block(x, w, 0, sums.data()), InternalError);
}

}  // namespace
}  // namespace crossweep::linalg
