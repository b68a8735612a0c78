// The keys of [transform] and [transforms.NAME].
#include "field_rows.hpp"

namespace crossweep::config {
namespace {

using enum FieldKind;
using enum Role;
using P = transform::TransformParams;

template <auto member>
constexpr Access in_transform() {
    return {[](const Settings& settings, const std::string& name) {
                return to_value(settings.transforms.at(name).*member);
            },
            [](Settings& settings, const std::string& name, const Value& value) {
                from_value(settings.transforms.at(name).*member, value);
            }};
}

}  // namespace

// One entry reads as a row: formatting would give each argument a line.
// clang-format off
std::vector<Field> transform_fields() {
    constexpr auto in = transforms_table;
    return {
        {"transform", "name", transform_name, at<&Settings::transform>(), {}, {}, "name of a transform",
         "The transform in force where the sweep does not say: `none`, or a NAME of [transforms.NAME].",
         selection},
        {in, "centre_keys", choice, in_transform<&P::centre_keys>(), {}, {"no", "yes"},
         "whether K loses its mean",
         "Before mapping, the mean over the tokens is taken from every channel of K. The softmax ignores what is "
         "added to all scores of a query, so the digital result is the same.", result},
        {in, "alpha", real, in_transform<&P::alpha>(), or_zero(at_least(1)), {}, "multiple of G_min",
         "Before writing, G <- max(G - alpha G_min, G_min) (ClipFormer, Algorithm 1); 0 skips this stage, "
         "the paper uses 1 and 2.", result},
        {in, "beta", real, in_transform<&P::beta>(), above_to(0, 1), {}, "fraction of G_max",
         "Then G <- min(G, beta G_max); 1 skips this stage, the paper uses 1 and 0.25. beta times the "
         "on_off_ratio of the devices of K and V must be at least 1.", result},
        {in, "percentile", real, in_transform<&P::percentile>(), above_to(0, 100), {},
         "percentile of the conductances",
         "Then G <- min(G, this percentile of G); 100 skips this stage.", result},
        {in, "clip_block", choice, in_transform<&P::clip_block>(), {}, {"tensor", "head", "column"},
         "what shares one upper clip",
         "Part of K or V whose largest magnitude or percentile sets it: all heads of one image and layer, one "
         "head, or one crossbar column.", result},
        {in, "rescale", choice, in_transform<&P::rescale>(), {}, {"none", "window"},
         "what happens to the room that clipping leaves",
         "`none`, as ClipFormer has it, or `window`: the upper clip maps to G_max.", result},
        {in, "write_verify_iterations", integer, in_transform<&P::write_verify_iterations>(), from_to(0, 15), {},
         "repeated writes at most",
         "A cell of K or V that missed its aim by more than the tolerance is written again, with new noise; 0: "
         "written once.", result},
        {in, "write_verify_tolerance", real, in_transform<&P::write_verify_tolerance>(), above_to(0, 1), {},
         "fraction of G_max - G_min",
         "What write and verify accepts. Assumption: 0.05.", result},
    };
}
// clang-format on

}  // namespace crossweep::config
