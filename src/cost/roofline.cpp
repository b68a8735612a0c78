#include "crossweep/cost/roofline.hpp"

#include <algorithm>

namespace crossweep::cost {
namespace {

/// [Bound]
std::array<double, 3> times_s(const OperationCost& operation, const Hardware& hardware) {
    return {operation.flop / hardware.peak_flop_per_s,
            moved_B(operation, hardware) / hardware.bandwidth_B_per_s,
            operation.vector_products * hardware.vector_product_s};
}

}  // namespace

double moved_B(const OperationCost& operation, const Hardware& hardware) {
    return operation.activations_B + (hardware.keeps_weights ? 0 : operation.weights_B) +
           (hardware.keeps_cache ? 0 : operation.cache_B);
}

Bound bound(const OperationCost& operation, const Hardware& hardware) {
    const auto times = times_s(operation, hardware);
    return static_cast<Bound>(std::ranges::max_element(times) - times.begin());
}

double latency_s(const OperationCost& operation, const Hardware& hardware) {
    return std::ranges::max(times_s(operation, hardware));
}

double latency_s(const TransformerCost& cost, const Hardware& hardware) {
    double sum = 0;
    for (const OperationCost& operation : cost) sum += latency_s(operation, hardware);
    return sum;
}

}  // namespace crossweep::cost
