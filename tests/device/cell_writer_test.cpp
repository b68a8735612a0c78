// Which effects a cell writer has, what their draws belong to, and what holds whatever is on. The laws of the
// effects are in cell_writing_test.cpp and cell_ageing_test.cpp.
#include "crossweep/device/cell_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "device/cells.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::device {
namespace {

/// One effect of cells: how to turn it on, and to whom its draws belong.
struct Effect {
    std::string name;
    std::function<void(DeviceParams&)> turn_on;
    bool changes_weights, changes_written;  ///< what it acts on
    bool chip_of_weights, chip_of_written;  ///< whether it draws once per chip
};

std::vector<Effect> effects() {
    const auto drift = [](DeviceParams& p) {
        p.t_read_s = p.written_t_read_s = 100;
        p.drift_exponent = 0.05;
    };
    return {
        {"levels", [](DeviceParams& p) { p.levels = 5; }, true, true, false, false},
        {"g_min spread", [](DeviceParams& p) { p.g_min_spread_sigma = 0.1; }, true, true, true, true},
        {"g_max spread", [](DeviceParams& p) { p.g_max_spread_sigma = 0.1; }, true, true, true, true},
        {"write noise", [](DeviceParams& p) { p.write_noise_sigma = 0.1; }, false, true, false, false},
        {"programming", [](DeviceParams& p) { p.programming_noise_sigma = 0.1; }, true, false, true, false},
        {"stuck low", [](DeviceParams& p) { p.stuck_at_g_min = 0.1; }, true, true, true, true},
        {"stuck high", [](DeviceParams& p) { p.stuck_at_g_max = 0.1; }, true, true, true, true},
        {"drift", drift, true, true, false, false},
        {"drift of weights", [=](DeviceParams& p) { drift(p), p.written_t_read_s = 0; }, true, false, false,
         false},
        {"drift of K and V", [=](DeviceParams& p) { drift(p), p.t_read_s = 1; }, false, true, false, false},
        {"drift scatter", [=](DeviceParams& p) { drift(p), p.drift_exponent_sigma = 0.01; }, true, true, true,
         true},
        {"drift scatter of weights",
         [=](DeviceParams& p) { drift(p), p.drift_exponent_sigma = 0.01, p.written_t_read_s = 0; }, true,
         false, true, false},
        {"retention", [](DeviceParams& p) { p.retention_s = 50, p.t_read_s = p.written_t_read_s = 9; }, true,
         true, false, false},
        {"frozen read noise",
         [](DeviceParams& p) { p.read_noise_sigma = 0.1, p.read_noise = ReadNoiseMode::frozen; }, true, true,
         true, false},
        {"fresh read noise", [](DeviceParams& p) { p.read_noise_sigma = 0.1; }, false, false, false, false},
        {"age alone", [](DeviceParams& p) { p.t_read_s = p.written_t_read_s = 1e6; }, false, false, false,
         false},
        {"drift too young",
         [](DeviceParams& p) {
             p.t_read_s = p.written_t_read_s = p.drift_t0_s = 20;
             p.drift_exponent = p.drift_exponent_sigma = 0.05;
         },
         false, false, false, false},
    };
}

TEST(CellWriter, without_effects_changes_nothing) {
    for (const Storage storage : storages) {
        for (const Clamp clamp : clamps) {
            DeviceParams params = quiet();
            params.clamp = clamp;
            auto wanted = ramp(params, 1001);
            wanted.insert(wanted.end(), {0.0F, -1e-7F, 2e-5F});  // outside the window too
            EXPECT_FALSE(CellWriter(params, storage, {5, 0.01}).perturbs());
            EXPECT_EQ(held(params, storage, wanted, row_of(storage), {5, 0.01}), wanted);
        }
    }
}

TEST(CellWriter, perturbs_if_and_only_if_it_changes_something) {
    for (const Effect& effect : effects()) {
        for (const Storage storage : storages) {
            DeviceParams params = quiet();
            effect.turn_on(params);
            const auto wanted = ramp(params, 1001);
            const bool changes =
                storage == Storage::stationary ? effect.changes_weights : effect.changes_written;
            EXPECT_EQ(CellWriter(params, storage).perturbs(), changes) << effect.name;
            EXPECT_EQ(held(params, storage, wanted, row_of(storage)) != wanted, changes) << effect.name;
        }
    }
}

TEST(CellWriter, draws_per_chip_what_belongs_to_the_chip) {
    EXPECT_FALSE(draws_per_chip(quiet(), Storage::stationary));
    EXPECT_FALSE(draws_per_chip(quiet(), Storage::written));
    for (const Effect& effect : effects()) {
        DeviceParams params = quiet();
        effect.turn_on(params);
        EXPECT_EQ(draws_per_chip(params, Storage::stationary), effect.chip_of_weights) << effect.name;
        EXPECT_EQ(draws_per_chip(params, Storage::written), effect.chip_of_written) << effect.name;
    }
}

// Of a fixed row of cells, another image and another trial: what belongs to the chip changes with the trial
// alone.
TEST(CellWriter, chip_level_draws_of_written_cells_are_the_same_for_every_image) {
    for (const Effect& effect : effects()) {
        if (!effect.changes_written) continue;
        DeviceParams params = quiet();
        effect.turn_on(params);
        const auto wanted = ramp(params, 1001);
        CellRow other_trial = row_of(Storage::written, 1);
        other_trial.key.trial = 5;
        const auto first = held(params, Storage::written, wanted, row_of(Storage::written, 1));
        const auto second = held(params, Storage::written, wanted, row_of(Storage::written, 2));
        const bool per_image = effect.name == "write noise" || effect.name == "frozen read noise";
        EXPECT_EQ(first != second, per_image) << effect.name;
        EXPECT_EQ(first != held(params, Storage::written, wanted, other_trial),
                  per_image || effect.chip_of_written)
            << effect.name;
    }
}

TEST(CellWriter, faults_stay_where_they_are_while_write_noise_changes_with_the_image) {
    DeviceParams params = quiet();
    params.stuck_at_g_max = 0.1;
    params.write_noise_sigma = 0.1;
    const std::vector<float> wanted(count, 5e-6F);
    const auto first = held(params, Storage::written, wanted, row_of(Storage::written, 1));
    const auto second = held(params, Storage::written, wanted, row_of(Storage::written, 2));
    const float max_S = conductance_window(params).max_S;
    std::vector<double> first_noise, second_noise;
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(first[i] == max_S, second[i] == max_S);
        if (first[i] == max_S) continue;
        first_noise.push_back(static_cast<double>(first[i]));
        second_noise.push_back(static_cast<double>(second[i]));
    }
    EXPECT_TRUE(linalg::are_uncorrelated(first_noise, second_noise));
}

TEST(CellWriter, draws_depend_on_neither_order_nor_batch) {
    constexpr std::uint32_t rows = 5;
    for (const Storage storage : storages) {
        const DeviceParams params = all_effects();
        const WriteVerify verify{3, 0.02};
        const auto wanted = ramp(params, 700);
        CellWriter in_order(params, storage, verify), in_reverse(params, storage, verify);
        std::vector<std::vector<float>> forward(rows, wanted), backward(rows, wanted);
        for (std::uint32_t r = 0; r < rows; ++r) {
            in_order(forward[r], row_of(storage, 1, r));
            in_reverse(backward[rows - 1 - r], row_of(storage, 1, rows - 1 - r));
        }
        EXPECT_EQ(forward, backward);
        for (const std::size_t length : {1U, 64U, 131U}) {
            std::vector<float> prefix(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(length));
            in_reverse(prefix, row_of(storage, 1, 2));
            EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), forward[2].begin())) << length;
        }
    }
}

TEST(CellWriter, draws_of_other_rows_operands_layers_and_seeds_are_other_draws) {
    const DeviceParams params = all_effects();
    const std::vector<float> wanted(1000, 5e-6F);
    for (const Storage storage : storages) {
        const CellRow row = row_of(storage);
        CellRow other_row = row, other_operand = row, other_layer = row, other_seed = row;
        other_row.row = 8;
        other_operand.operand = 3;
        other_layer.layer = LayerId(4);
        other_seed.key.seed = 22;
        const auto cells = held(params, storage, wanted, row);
        for (const CellRow& other : {other_row, other_operand, other_layer, other_seed}) {
            const auto others = held(params, storage, wanted, other);
            EXPECT_TRUE(linalg::are_uncorrelated(std::vector<double>(cells.begin(), cells.end()),
                                                 std::vector<double>(others.begin(), others.end())));
        }
    }
}

// Each of the effects that can leave the window, with and without the others that follow it.
TEST(CellWriter, clamp_holds_whatever_is_on) {
    for (const unsigned off : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U}) {
        DeviceParams params = all_effects();
        params.g_min_spread_sigma = params.g_max_spread_sigma = 1;
        if ((off & 1U) != 0) params.write_noise_sigma = params.programming_noise_sigma = 0;
        if ((off & 2U) != 0) params.t_read_s = params.written_t_read_s = 0;
        if ((off & 4U) != 0) params.read_noise_sigma = 0;
        for (const Storage storage : storages) {
            for (const Clamp clamp : clamps) {
                params.clamp = clamp;
                const auto cells = held(params, storage, ramp(params, 10'001), row_of(storage));
                const auto [low_S, high_S] = conductance_bounds(clamp, conductance_window(params));
                const auto [least, most] = std::minmax_element(cells.begin(), cells.end());
                EXPECT_GE(*least, low_S) << off;
                EXPECT_LE(*most, high_S) << off;
                EXPECT_EQ(*least < 0, clamp == Clamp::none) << off;  // there is something to clamp
            }
        }
    }
}

TEST(CellWriter, a_conductance_that_is_not_a_number_stays_so) {
    DeviceParams params = all_effects();
    params.stuck_at_g_min = params.stuck_at_g_max = 0;
    for (const Clamp clamp : clamps) {
        params.clamp = clamp;
        for (const Storage storage : storages) {
            const auto cells =
                held(params, storage, std::vector<float>(100, std::nanf("")), row_of(storage), {2, 0.01});
            EXPECT_TRUE(std::all_of(cells.begin(), cells.end(), [](float g) { return std::isnan(g); }));
        }
    }
}

}  // namespace
}  // namespace crossweep::device
