#include "crossweep/transform/clip_former.hpp"

#include <cstddef>
#include <limits>

#include "crossweep/core/multiversion.hpp"

namespace crossweep::transform {
namespace {

CROSSWEEP_MULTIVERSION
void clip_kernel(float* __restrict g, float shift, float floor, float ceiling, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float lowered = g[i] - shift;
        const float raised = lowered < floor ? floor : lowered;
        g[i] = raised > ceiling ? ceiling : raised;
    }
}

}  // namespace

ClipFormer::ClipFormer(const TransformParams& params, ConductanceWindow window)
    : shift_S_(static_cast<float>(params.alpha) * window.min_S),
      floor_S_(params.alpha > 0 ? window.min_S : -std::numeric_limits<float>::infinity()),
      ceiling_S_(params.beta < 1 ? static_cast<float>(params.beta) * window.max_S
                                 : std::numeric_limits<float>::infinity()) {}

void ClipFormer::operator()(std::span<float> conductance_S) const {
    clip_kernel(conductance_S.data(), shift_S_, floor_S_, ceiling_S_, conductance_S.size());
}

}  // namespace crossweep::transform
