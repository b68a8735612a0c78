// Every key of a study file, once: this is where the parts come together, with those of the study itself. A
// new setting is one member of a params struct and one row here or in the *_fields.cpp of its module.
#include "fields.hpp"

#include "field_rows.hpp"

namespace crossweep::config {
namespace {

using enum FieldKind;
using enum Role;
using S = Settings;

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
         "Trained weights under the names that they are published with (docs/models.md). Must be given.",
         contents},
        {in, "num_heads", integer, at<&S::model, &P::num_heads>(), from_to(0, 65536), {}, "attention heads",
         "0: as the file's metadata says, else width / 64, as published (but for LV-ViT-T: 4).", result},
        {in, "keep_ratio", real, at<&S::model, &P::keep_ratio>(), from_to(0, 1), {}, "fraction of the tokens",
         "Of DynamicViT: the first predictor keeps this fraction of the patches, the second its square, and so "
         "on. 0: as the file's metadata says, else 0.7.", addition},
    };
}

std::vector<Field> data_fields() {
    using P = trial::DataParams;
    constexpr auto in = "data";
    return {
        {in, "images", path, at<&S::data, &P::images>(), {}, {}, "image file",
         "IDX (plain or gzip) or HDF5. This or `texts` must be given.", contents},
        {in, "labels", path, at<&S::data, &P::labels>(), {}, {}, "label file",
         "Correct classes of IDX images; empty with HDF5, which holds them itself.", contents},
        {in, "texts", path, at<&S::data, &P::texts>(), {}, {}, "text file",
         "HDF5 of analysis/prepare_text.py, for BERT and GPT-2. In every other key a text counts as an image.",
         contents},
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
         "Images that pass each layer together and share one noise-free reference in memory: more fetch the "
         "weights less often.", bookkeeping},
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
    for (const auto& part : {study_fields(), model_fields(), data_fields(), device_fields("device"),
                             device_fields(devices_table), device_of_fields(), crossbar_fields(),
                             fidelity_of_fields(), transform_fields(), technology_fields(), run_fields()}) {
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
