// The largest code of K and V, which decides how many slices there are, against what mapping really gives.
#include "crossweep/crossbar/mapped_operand.hpp"

#include <gtest/gtest.h>

#include "crossweep/crossbar/cell_layout.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using linalg::Role;

// A bound that is one too low, where it is a power of two, would take the highest bit of the largest values.
TEST(LargestWrittenCode, is_that_of_the_largest_value_for_all_clips) {
    const linalg::Matrix values = linalg::normal_matrix(4, 6, 1);
    int checked = 0;
    for (const std::uint32_t levels : {2U, 16U, 256U, 4096U, 65536U}) {
        for (const float ratio : {2.0F, 5.0F, 30.0F, 100.0F, 1e6F}) {
            for (const float g_max_S : {1e-6F, 1e-5F, 2e-5F, 3e-5F}) {
                for (int step = 0; step < 200; ++step) {
                    CrossbarParams params;
                    params.weight_levels = levels;
                    transform::TransformParams transform;
                    transform.beta = std::max(1.0 / static_cast<double>(ratio), 1 - 0.005 * step);
                    transform.alpha = step % 3 == 0 ? 1.5 : 0;
                    const ConductanceWindow window{g_max_S / ratio, g_max_S};
                    MappedOperand mapped;
                    map_written(params, transform, window, Role::written_values, linalg::const_view(values),
                                6, mapped);
                    ASSERT_EQ(mapped.code.maxCoeff(), largest_written_code(params, transform, window))
                        << levels << " levels, ratio " << ratio << ", beta " << transform.beta;
                    ++checked;
                }
            }
        }
    }
    EXPECT_EQ(checked, 5 * 5 * 4 * 200);
}

TEST(LargestWrittenCode, bounds_codes_that_a_percentile_clips_and_fills_the_window_where_they_are_rescaled) {
    const linalg::Matrix values = linalg::normal_matrix(20, 8, 2);
    transform::TransformParams transform;
    transform.percentile = 90;
    transform.beta = 0.5;
    const ConductanceWindow window;
    MappedOperand mapped;
    map_written({}, transform, window, Role::written_values, linalg::const_view(values), 8, mapped);
    EXPECT_LE(mapped.code.maxCoeff(), largest_written_code({}, transform, window));
    EXPECT_LT(largest_written_code({}, transform, window), 129);
    transform.rescale = transform::Rescale::window;
    map_written({}, transform, window, Role::written_values, linalg::const_view(values), 8, mapped);
    EXPECT_EQ(mapped.code.maxCoeff(), 255);
    EXPECT_EQ(largest_written_code({}, transform, window), 255);
}

}  // namespace
}  // namespace crossweep::crossbar
