// What engines count against what shapes alone say, and both against counts by hand.
#include <gtest/gtest.h>

#include "crossbar/chip.hpp"
#include "crossweep/crossbar/activity_counter.hpp"

namespace crossweep::crossbar {
namespace {

using linalg::Role;

constexpr LayerId layer(2);

/// Everything that `products_of` asks of a block, from its shape.
ActivityTable expected(const ChipParams& params, const BlockShape& shape) {
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    ActivityTable table;
    for (const Role role : {Role::query, Role::key, Role::value})
        table[{layer, role}] =
            counter.of_product({role, shape.tokens, shape.width, shape.width, shape.head_width()});
    table[{layer, Role::mlp_in}] =
        counter.of_product({Role::mlp_in, shape.tokens, shape.hidden, shape.width, shape.head_width()});
    for (const Role role : {Role::written_keys, Role::written_values}) {
        const WrittenShape written{role, shape.tokens, shape.tokens, shape.width, shape.head_width()};
        table[{layer, role}] = counter.of_writing(written, shape.tokens);
        table[{layer, role}] += counter.of_reading(written);
    }
    return table;
}

void expect_equal(const ActivityTable& counted, const ActivityTable& wanted) {
    ASSERT_EQ(counted.size(), wanted.size());
    for (const auto& [operand, activity] : wanted) {
        SCOPED_TRACE(static_cast<int>(operand.role));
        const auto found = counted.find(operand);
        ASSERT_NE(found, counted.end());
        EXPECT_EQ(found->second.array_reads, activity.array_reads);
        EXPECT_EQ(found->second.row_drives, activity.row_drives);
        EXPECT_EQ(found->second.conversions, activity.conversions);
        EXPECT_EQ(found->second.read_steps, activity.read_steps);
        EXPECT_EQ(found->second.cell_writes, activity.cell_writes);
        EXPECT_EQ(found->second.write_pulses, activity.write_pulses);
        EXPECT_EQ(found->second.write_steps, activity.write_steps);
        EXPECT_EQ(found->second.buffer_B, activity.buffer_B);
        EXPECT_EQ(found->second.interconnect_B, activity.interconnect_B);
        EXPECT_EQ(found->second.storage_B, activity.storage_B);
        EXPECT_EQ(found->second.digital_operations, activity.digital_operations);
        EXPECT_TRUE(found->second == activity);
    }
}

ChipParams chip(Fidelity fidelity) {
    ChipParams params;
    params.fidelity = fidelity;
    params.crossbar.array_rows = 7;
    params.crossbar.array_columns = 5;
    params.crossbar.adc_range = AdcRange::full;
    return params;
}

using Change = void (*)(ChipParams&);

struct Case {
    const char* name;
    Change change;
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

const Case cases[] = {
    {"as_it_is", [](ChipParams&) {}},
    {"offset", [](ChipParams& p) { p.crossbar.mapping = Mapping::offset; }},
    {"sign_magnitude", [](ChipParams& p) { p.crossbar.input_encoding = InputEncoding::sign_magnitude; }},
    {"dac_of_three_bits", [](ChipParams& p) { p.crossbar.dac_bits = 3; }},
    {"inputs_of_twelve_bits", [](ChipParams& p) { p.crossbar.input_bits = 12; }},
    {"cells_of_three_bits", [](ChipParams& p) { p.device.bits_per_cell = 3; }},
    {"clipped_to_six_bits",
     [](ChipParams& p) {
         p.transform.alpha = 2;
         p.transform.beta = 0.25;
     }},
    {"arrays_larger_than_the_matrices",
     [](ChipParams& p) { p.crossbar.array_rows = p.crossbar.array_columns = 64; }},
    {"cut_by_heads", [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::head; }},
    {"perfect_cells", [](ChipParams& p) { p.device.read_noise_sigma = p.device.write_noise_sigma = 0; }},
    {"few_rows_at_once",
     [](ChipParams& p) {
         p.device.bits_per_cell = 1;
         p.crossbar.adc_bits = 2;
     }},
    {"some_digital",
     [](ChipParams& p) {
         p.digital = {Role::key, Role::mlp_in, Role::written_values};
     }},
};

class EngineAndShapes : public testing::TestWithParam<std::tuple<Fidelity, Case>> {};

TEST_P(EngineAndShapes, count_the_same) {
    ChipParams params = chip(std::get<Fidelity>(GetParam()));
    std::get<Case>(GetParam()).change(params);
    const BlockInputs in;
    Chip chip(params, in.shape);
    products_of(chip.engine(), in);
    expect_equal(chip.activity(), expected(params, in.shape));
}

std::string name_of(const testing::TestParamInfo<std::tuple<Fidelity, Case>>& info) {
    constexpr const char* words[] = {"digital", "behavioural", "sliced", "circuit", "large_small"};
    const auto& [fidelity, changed] = info.param;
    return std::string(words[static_cast<int>(fidelity)]) + "_" + changed.name;
}

INSTANTIATE_TEST_SUITE_P(Activity, EngineAndShapes,
                         testing::Combine(testing::Values(Fidelity::behavioural, Fidelity::sliced,
                                                          Fidelity::circuit, Fidelity::large_small),
                                          testing::ValuesIn(cases)),
                         name_of);

TEST(Activity, of_a_product_by_hand) {
    // 11 vectors through 24 inputs and 40 outputs on arrays of 7 x 5: 4 x 8 arrays, 4 slices of two columns.
    ChipParams params = chip(Fidelity::circuit);
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    const Activity counted = counter.of_product({Role::mlp_in, 11, 40, 24, 12});
    EXPECT_EQ(counter.cells_per_weight(Role::mlp_in), 8U);
    EXPECT_EQ(counter.arrays_of(ProductShape{Role::mlp_in, 11, 40, 24, 12}), 4U * 8 * 8);
    EXPECT_EQ(counted.read_steps, 11U * 8);
    EXPECT_EQ(counted.array_reads, 11U * 8 * (4 * 8 * 8));
    EXPECT_EQ(counted.row_drives, 11U * 8 * 24 * 8 * 8);   // every row in each of 8 arrays of 8 planes
    EXPECT_EQ(counted.conversions, 11U * 8 * 40 * 4 * 8);  // every column in each of 4 arrays of 8 planes
    EXPECT_EQ(counted.interconnect_B, 11U * 8 * (24 * 8 + 40 * 4 * 2));
    EXPECT_EQ(counted.buffer_B, 11U * (24 + 40));
    EXPECT_EQ(counted.cell_writes + counted.storage_B + counted.digital_operations, 0U);
}

TEST(Activity, of_k_and_v_by_hand) {
    // Two heads of 12 channels, 11 tokens; K: 2 x 2 arrays along the channels, 3 along the tokens; V: 2 along
    // the tokens, 2 x 3 along the channels.
    ChipParams params = chip(Fidelity::sliced);
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    const WrittenShape keys{Role::written_keys, 11, 11, 24, 12}, values{Role::written_values, 11, 11, 24, 12};
    EXPECT_EQ(counter.arrays_of(keys), 4U * 3 * 8);
    EXPECT_EQ(counter.arrays_of(values), 2U * 6 * 8);
    EXPECT_EQ(counter.of_reading(keys).array_reads, 11U * 8 * (4 * 3 * 8));
    EXPECT_EQ(counter.of_reading(keys).conversions, 11U * 8 * 8 * (11 * 4));
    // Probabilities have no sign: 7 cycles.
    EXPECT_EQ(counter.of_reading(values).array_reads, 11U * 7 * (2 * 6 * 8));
    EXPECT_EQ(counter.of_reading(values).row_drives, 11U * 7 * 8 * (11 * 6));
    EXPECT_EQ(counter.of_reading(values).read_steps, 11U * 7);
    EXPECT_EQ(counter.of_writing(keys, 11).cell_writes, 11U * 24 * 8);
    EXPECT_EQ(counter.of_writing(keys, 11).write_steps, 7U);
    EXPECT_EQ(counter.of_writing(keys, 1).cell_writes, 24U * 8);
}

TEST(Activity, at_large_small_by_hand) {
    // 11 vectors through 24 inputs and 40 outputs, 1-bit cells: 8 slices of two columns, 3 rows at once, so 8
    // groups; arrays of 7 x 5: 4 x 8.
    ChipParams params = chip(Fidelity::large_small);
    params.device.bits_per_cell = 1;
    params.crossbar.adc_bits = 2;
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    const ProductShape shape{Role::mlp_in, 11, 40, 24, 12};
    const Activity counted = counter.of_product(shape);
    EXPECT_EQ(counter.arrays_of(shape), 4U * 8 * 16);
    EXPECT_EQ(counter.stored_B(shape), 2U * 40 * 24);  // 8 bits and a sign: two bytes
    EXPECT_EQ(counted.array_reads, 11U * 8 * 16 * 8 * 8);
    EXPECT_EQ(counted.row_drives, 11U * 8 * 16 * 24 * 8);
    EXPECT_EQ(counted.conversions, 11U * 8 * 16 * 40 * 8);
    EXPECT_EQ(counted.cell_writes, 40U * 24 * 16);
    EXPECT_EQ(counted.write_steps, 24U * 8 * 16);
    EXPECT_EQ(counted.storage_B, 11U * (24 + 40) + 2 * 40 * 24);
    EXPECT_EQ(counted.buffer_B + counted.read_steps + counted.digital_operations, 0U);
    const Activity softmax = counter.of_function(Role::softmax, 11, 24);
    EXPECT_EQ(softmax.conversions, 11U * 7 * 8);
    EXPECT_EQ(softmax.digital_operations, 4U * 11 * 24);
    EXPECT_EQ(softmax.cell_writes, 0U);
    const Activity norm = counter.of_function(Role::layer_norm, 11, 24);
    EXPECT_EQ(norm.conversions, 11U * 8 * 8 * (1 + 16));
    EXPECT_EQ(norm.cell_writes, 11U * 24 * 16);
}

TEST(Activity, clipping_saves_a_slice) {
    ChipParams params = chip(Fidelity::circuit);
    params.transform.alpha = 2;
    params.transform.beta = 0.25;
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    EXPECT_EQ(counter.cells_per_weight(Role::written_keys), 6U);
    EXPECT_EQ(counter.cells_per_weight(Role::key), 8U);
}

TEST(Activity, of_a_text_that_goes_on_counts_the_new_tokens_alone) {
    ChipParams params = chip(Fidelity::behavioural);
    params.crossbar.written_scale = ScaleBlock::token;
    const BlockInputs in;
    Chip chip(params, in.shape);
    chip.engine().begin_image(ImageId(0), 8);
    chip.engine().write(layer, in.shape.heads, linalg::const_view(in.keys), linalg::const_view(in.values));
    const Activity& keys = chip.activity().at({layer, Role::written_keys});
    EXPECT_EQ(keys.cell_writes, 3U * 24 * 8);
}

class WriteVerify : public testing::TestWithParam<Fidelity> {};

TEST_P(WriteVerify, pulses_are_those_that_cells_got) {
    ChipParams params = chip(GetParam());
    params.transform.write_verify_iterations = 5;
    params.transform.write_verify_tolerance = 0.1;
    params.device.write_noise_factor = 5;
    params.device.write_noise_law = device::WriteNoiseLaw::constant;  // so that digits do not matter
    const BlockInputs in({.tokens = 60, .width = 24, .hidden = 40, .heads = 2});
    Chip chip(params, in.shape);
    products_of(chip.engine(), in);
    const ActivityTable wanted = expected(params, in.shape);
    for (const Role role : {Role::written_keys, Role::written_values}) {
        const Activity& counted = chip.activity().at({layer, role});
        const Activity& mean = wanted.at({layer, role});
        EXPECT_EQ(counted.cell_writes, mean.cell_writes);
        EXPECT_GT(counted.write_pulses, 2 * counted.cell_writes);
        EXPECT_NEAR(static_cast<double>(counted.write_pulses) / static_cast<double>(mean.write_pulses), 1,
                    0.03);
    }
}

INSTANTIATE_TEST_SUITE_P(Activity, WriteVerify,
                         testing::Values(Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit));

TEST(Activity, of_functions) {
    const ChipParams params = chip(Fidelity::behavioural);
    const ActivityCounter counter(params.crossbar, params.transform, params.operands());
    const BlockInputs in;
    Chip chip(params, in.shape);
    linalg::Matrix x = in.x, y = in.x;
    const std::vector<float> ones(24, 1.0F);
    chip.engine().softmax(layer, linalg::view(x), 1, {});
    chip.engine().add_bias_gelu(layer, linalg::view(x), ones, linalg::Gelu::erf);
    chip.engine().layer_norm(layer, linalg::const_view(x), {ones, ones, 1e-6F}, linalg::view(y));
    for (const Role role : {Role::softmax, Role::layer_norm, Role::gelu})
        EXPECT_TRUE(chip.activity().at({layer, role}) == counter.of_function(role, 11, 24));
    EXPECT_EQ(counter.of_function(Role::softmax, 11, 24).digital_operations, 5U * 11 * 24);
    EXPECT_EQ(counter.of_function(Role::softmax, 11, 24).buffer_B, 2U * 11 * 24);
}

TEST(Activity, functions_fill_arrays_where_they_add_up_on_them) {
    ChipParams params = chip(Fidelity::large_small);
    params.crossbar.array_rows = params.crossbar.array_columns = 128;
    params.crossbar.adc_bits = 2;
    params.crossbar.mapping = Mapping::offset;
    params.crossbar.weight_levels = 128;
    params.device.bits_per_cell = 1;
    const ActivityCounter shared(params.crossbar, params.transform, params.operands());
    EXPECT_EQ(shared.arrays_of_function(Role::softmax, 512, 500), 4U);                  // ones, for all rows
    EXPECT_EQ(shared.arrays_of_function(Role::layer_norm, 512, 10), (1 + 8) * 4U * 4);  // 4 groups of 3 rows
    EXPECT_EQ(shared.arrays_of_function(Role::gelu, 512, 500), 0U);
    params.fidelity = Fidelity::circuit;
    const ActivityCounter digital(params.crossbar, params.transform, params.operands());
    EXPECT_EQ(digital.arrays_of_function(Role::softmax, 512, 500), 0U);
}

}  // namespace
}  // namespace crossweep::crossbar
