#include "crossweep/cost/roofline.hpp"

#include <gtest/gtest.h>

#include "crossweep/cost/published_shapes.hpp"

namespace crossweep::cost {
namespace {

Hardware machine(double peak_flop_per_s, double bandwidth_B_per_s) {
    Hardware hardware;
    hardware.peak_flop_per_s = peak_flop_per_s;
    hardware.bandwidth_B_per_s = bandwidth_B_per_s;
    return hardware;
}

constexpr OperationCost operation{1000, 10, 20, 70, 4};

TEST(Roofline, latency_is_the_longer_of_computing_and_moving) {
    EXPECT_DOUBLE_EQ(latency_s(operation, machine(100, 1e9)), 10);
    EXPECT_DOUBLE_EQ(latency_s(operation, machine(1e9, 50)), 2);
    EXPECT_EQ(bound(operation, machine(100, 1e9)), Bound::computing);
    EXPECT_EQ(bound(operation, machine(1e9, 50)), Bound::moving);
}

TEST(Roofline, vectors_pass_a_matrix_that_stays_one_after_the_other) {
    Hardware hardware = machine(1e9, 1e9);
    hardware.vector_product_s = 0.5;
    EXPECT_DOUBLE_EQ(latency_s(operation, hardware), 2);
    EXPECT_EQ(bound(operation, hardware), Bound::vector_products);
}

TEST(Roofline, both_take_the_same_time_at_the_ridge) {
    const Hardware hardware = machine(500, 50);
    EXPECT_DOUBLE_EQ(hardware.ridge_flop_per_B(), operation.intensity_flop_per_B());
    EXPECT_DOUBLE_EQ(operation.flop / hardware.peak_flop_per_s,
                     operation.moved_B() / hardware.bandwidth_B_per_s);
}

TEST(Roofline, what_stays_is_not_moved) {
    Hardware hardware = machine(1e9, 10);
    EXPECT_DOUBLE_EQ(moved_B(operation, hardware), 100);
    hardware.keeps_weights = true;
    EXPECT_DOUBLE_EQ(moved_B(operation, hardware), 90);
    hardware.keeps_cache = true;
    EXPECT_DOUBLE_EQ(moved_B(operation, hardware), 70);
    EXPECT_DOUBLE_EQ(latency_s(operation, hardware), 7);
}

TEST(Roofline, classes_follow_one_another) {
    const Hardware hardware = machine(1e12, 1e11);
    const TransformerCost cost = count_operations(*find_published_shape("bert-base"), 128);
    double sum = 0;
    for (const OperationCost& one : cost) sum += latency_s(one, hardware);
    EXPECT_DOUBLE_EQ(latency_s(cost, hardware), sum);
    EXPECT_GE(latency_s(cost, hardware), latency_s(total(cost), hardware));
}

}  // namespace
}  // namespace crossweep::cost
