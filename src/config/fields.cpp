// Every key of a study file, once. A new setting is one member of a params struct and one entry here.
#include "fields.hpp"

#include <fmt/format.h>

#include <array>
#include <type_traits>

#include "key_path.hpp"

namespace crossweep::config {
namespace {

template <class Member>
Value to_value(const Member& member) {
    if constexpr (std::is_enum_v<Member> || std::is_arithmetic_v<Member>) {
        return static_cast<double>(member);
    } else if constexpr (std::is_same_v<Member, std::filesystem::path>) {
        return member.string();
    } else {
        return member;
    }
}

template <class Member>
void from_value(Member& member, const Value& value) {
    if constexpr (std::is_enum_v<Member>) {
        member = static_cast<Member>(static_cast<int>(std::get<double>(value)));
    } else if constexpr (std::is_arithmetic_v<Member>) {
        member = static_cast<Member>(std::get<double>(value));
    } else if constexpr (std::is_same_v<Member, std::filesystem::path>) {
        member = std::get<std::string>(value);
    } else {
        member = std::get<Member>(value);
    }
}

template <auto group, auto member>
constexpr Access at() {
    return {[](const Settings& settings, const std::string&) { return to_value(settings.*group.*member); },
            [](Settings& settings, const std::string&, const Value& value) {
                from_value(settings.*group.*member, value);
            }};
}

template <auto member>
constexpr Access at_top() {
    return {[](const Settings& settings, const std::string&) { return to_value(settings.*member); },
            [](Settings& settings, const std::string&, const Value& value) {
                from_value(settings.*member, value);
            }};
}

template <auto member>
constexpr Access in_transform() {
    return {[](const Settings& settings, const std::string& name) {
                return to_value(settings.transforms.at(name).*member);
            },
            [](Settings& settings, const std::string& name, const Value& value) {
                from_value(settings.transforms.at(name).*member, value);
            }};
}

constexpr Range above(double low) {
    return {.low = low, .low_open = true};
}
constexpr Range at_least(double low) {
    return {.low = low};
}
constexpr Range from_to(double low, double high) {
    return {.low = low, .high = high};
}
constexpr Range above_to(double low, double high) {
    return {.low = low, .high = high, .low_open = true};
}
constexpr Range between(double low, double high) {
    return {.low = low, .high = high, .low_open = true, .high_open = true};
}
constexpr Range or_zero(Range range) {
    range.or_zero = true;
    return range;
}

constexpr double largest_count = std::numeric_limits<std::uint32_t>::max();
constexpr Range any_count = from_to(0, largest_count);
constexpr Range positive_count = from_to(1, largest_count);
constexpr Range sigma = from_to(0, 10);

using enum FieldKind;
using enum Role;
using S = Settings;

std::vector<std::string> scale_blocks() {
    return {"tensor", "head", "column", "tile"};
}

// One entry reads as a row: formatting would give each argument a line.
// clang-format off
std::vector<Field> study_fields() {
    using P = StudyParams;
    constexpr auto in = "study";
    return {
        {in, "name", text, at<&S::study, &P::name>(), {}, {}, "title",
         "Names the study in reports.", bookkeeping},
        {in, "seed", integer, at<&S::study, &P::seed>(), any_count, {}, "key of the random numbers",
         "Decides every random draw, together with the trial's number. All points see the same draws.",
         result},
        {in, "trials", integer, at<&S::study, &P::trials>(), from_to(1, 1e6), {}, "number of chips per point",
         "Independent draws of all noise. More trials narrow the intervals; those done before stay valid.",
         bookkeeping},
        {in, "confidence", real, at<&S::study, &P::confidence>(), between(0, 1), {},
         "coverage of the intervals",
         "Confidence level of every interval in reports and results.", bookkeeping},
    };
}

std::vector<Field> model_fields() {
    using P = trial::ModelParams;
    constexpr auto in = "model";
    return {
        {in, "weights", path, at<&S::model, &P::weights>(), {}, {}, "safetensors file",
         "Trained weights under the names of timm. Must be given.", contents},
        {in, "num_heads", integer, at<&S::model, &P::num_heads>(), from_to(0, 65536), {}, "attention heads",
         "0: as the file's metadata says, else width / 64 as in DeiT and ViT.", result},
    };
}

std::vector<Field> data_fields() {
    using P = trial::DataParams;
    constexpr auto in = "data";
    return {
        {in, "images", path, at<&S::data, &P::images>(), {}, {}, "image file",
         "IDX (plain or gzip) or HDF5. Must be given.", contents},
        {in, "labels", path, at<&S::data, &P::labels>(), {}, {}, "label file",
         "Correct classes of IDX images; empty with HDF5, which holds them itself.", contents},
        {in, "count", integer, at<&S::data, &P::count>(), any_count, {}, "number of images",
         "How many images of the file are used; 0: all.", result},
        {in, "choice", choice, at<&S::data, &P::choice>(), {}, {"first", "spread", "random"},
         "choice of images",
         "The first `count`, `count` at equal distances, or `count` drawn without replacement from the "
         "study's seed.", result},
        {in, "shard_images", integer, at<&S::data, &P::shard_images>(), positive_count, {},
         "images per unit of work",
         "Images are recorded in shards of this size, so it belongs to the study.", result},
        {in, "mean", reals, at<&S::data, &P::mean>(), {}, {}, "mean of each channel",
         "Subtracted from pixels in [0, 1]; empty: as the data set or else the weights say.", result},
        {in, "std", reals, at<&S::data, &P::std>(), above(0), {}, "standard deviation of each channel",
         "Divides after the mean is subtracted; as many values as `mean`.", result},
    };
}

std::vector<Field> device_fields() {
    using P = device::DeviceParams;
    constexpr auto in = "device";
    return {
        {in, "g_max_S", real, at<&S::device, &P::g_max_S>(), above_to(0, 1), {}, "conductance in siemens",
         "Largest conductance of a cell. ClipFormer (arXiv 2402.02586), Table I: 0.1 to 10 uS.", result},
        {in, "on_off_ratio", real, at<&S::device, &P::on_off_ratio>(), above(1), {}, "G_max / G_min",
         "Ratio of largest to smallest conductance. ClipFormer, Table I.", result},
        {in, "read_noise_sigma", real, at<&S::device, &P::read_noise_sigma>(), sigma, {},
         "standard deviation relative to the conductance",
         "G' = G (1 + sigma N(0, 1)) (ClipFormer, eq. 8). Assumption: Table I gives 0.05 and 0.1 for two "
         "noise parameters without saying which is which.", result},
        {in, "read_noise", choice, at<&S::device, &P::read_noise>(), {}, {"per_read", "frozen"},
         "how long a draw of read noise lasts",
         "`per_read`: fresh at every read. `frozen`: once per trial for weights, once per write for K and "
         "V. Assumption: per_read is the physical reading.", result},
        {in, "write_noise_sigma", real, at<&S::device, &P::write_noise_sigma>(), sigma, {},
         "standard deviation relative to sqrt((G - G_min)(G_max - G_min))",
         "Noise of writing K and V (ClipFormer, eq. 9). Assumption: 0.1, as for `read_noise_sigma`.", result},
        {in, "write_noise_factor", real, at<&S::device, &P::write_noise_factor>(), at_least(0), {},
         "gamma, a factor on write_noise_sigma",
         "ClipFormer uses 3, 4 and 5; 0: no write noise.", result},
        {in, "programming_noise_sigma", real, at<&S::device, &P::programming_noise_sigma>(), sigma, {},
         "standard deviation relative to sqrt((G - G_min)(G_max - G_min))",
         "Noise of programming the stationary weights, once per trial, with the law of write noise at gamma "
         "= 1. Assumption: off, as in ClipFormer.", result},
        {in, "clamp", choice, at<&S::device, &P::clamp>(), {}, {"none", "non_negative", "window"},
         "limits of a noisy conductance",
         "Not limited, kept from below 0, or kept inside [G_min, G_max]. Noise that is fresh at every read is never "
         "limited: it is drawn per output. Assumption: none; the paper does not say.", result},
    };
}

std::vector<Field> crossbar_fields() {
    using P = crossbar::CrossbarParams;
    constexpr auto in = "crossbar";
    return {
        {in, "weight_levels", integer, at<&S::crossbar, &P::weight_levels>(), or_zero(from_to(2, 65536)), {},
         "conductance levels per magnitude",
         "Sign aside; 0: continuous. 256 follows from ClipFormer's step from 8 to 6 bits at beta = 0.25.",
         result},
        {in, "input_bits", integer, at<&S::crossbar, &P::input_bits>(), or_zero(from_to(2, 16)), {},
         "bits of an input code",
         "Signed and symmetric; 0: continuous. ClipFormer: 8.", result},
        {in, "weight_scale", choice, at<&S::crossbar, &P::weight_scale>(), {}, scale_blocks(),
         "what shares one largest weight",
         "Part of a stationary matrix whose largest magnitude maps to G_max. Assumption: the whole tensor.",
         result},
        {in, "written_scale", choice, at<&S::crossbar, &P::written_scale>(), {}, scale_blocks(),
         "what shares one largest written value",
         "The same for K and V; `tensor` is all heads of one image and layer. Assumption: tensor.", result},
        {in, "input_scale", choice, at<&S::crossbar, &P::input_scale>(), {}, {"token", "tensor"},
         "what shares one input scale",
         "Part of the inputs whose largest magnitude maps to the largest code. Assumption: token, one input "
         "vector.", result},
        {in, "array_rows", integer, at<&S::crossbar, &P::array_rows>(), from_to(1, 65536), {},
         "rows of one array",
         "ClipFormer: 64.", result},
        {in, "array_columns", integer, at<&S::crossbar, &P::array_columns>(), from_to(1, 65536), {},
         "columns of one array",
         "ClipFormer: 64.", result},
    };
}

std::vector<Field> transform_fields() {
    using P = transform::TransformParams;
    return {
        {"transform", "name", transform_name, at_top<&S::transform>(), {}, {}, "name of a transform",
         "The transform in force where the sweep does not say: `none`, or a NAME of [transforms.NAME].",
         bookkeeping},
        {transforms_table, "alpha", real, in_transform<&P::alpha>(), or_zero(at_least(1)), {},
         "multiple of G_min",
         "Before writing, G <- max(G - alpha G_min, G_min) (ClipFormer, Algorithm 1); 0 skips this stage, "
         "the paper uses 1 and 2.", result},
        {transforms_table, "beta", real, in_transform<&P::beta>(), above_to(0, 1), {}, "fraction of G_max",
         "Then G <- min(G, beta G_max); 1 skips this stage, the paper uses 1 and 0.25. beta * "
         "device.on_off_ratio must be at least 1.", result},
    };
}

std::vector<Field> run_fields() {
    using P = RunParams;
    constexpr auto in = "run";
    return {
        {in, "segment_s", real, at<&S::run, &P::segment_s>(), above(0), {}, "time in seconds",
         "Finished records are written at least this often; a killed run loses no more, and the units in hand.",
         bookkeeping},
        {in, "time_budget_s", real, at<&S::run, &P::time_budget_s>(), at_least(0), {}, "time in seconds",
         "Stop before this time is over and exit 75 (resume); 0: until SLURM_JOB_END_TIME, if that is set.",
         bookkeeping},
        {in, "batch_images", integer, at<&S::run, &P::batch_images>(), positive_count, {}, "images per batch",
         "Images that share one noise-free reference in memory.", bookkeeping},
        {in, "points_per_unit", integer, at<&S::run, &P::points_per_unit>(), positive_count, {},
         "points per unit of work",
         "Largest group of points evaluated on one batch; fewer if their unit would take over a minute.",
         bookkeeping},
        {in, "max_failed_units", integer, at<&S::run, &P::max_failed_units>(), any_count, {},
         "number of units",
         "Stop when more units than this have failed.", bookkeeping},
    };
}

// clang-format on

std::vector<Field> make_fields() {
    std::vector<Field> all;
    for (const auto& part : {study_fields(), model_fields(), data_fields(), device_fields(),
                             crossbar_fields(), transform_fields(), run_fields()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace

std::span<const Field> fields() {
    static const auto all = make_fields();
    return all;
}

}  // namespace crossweep::config
