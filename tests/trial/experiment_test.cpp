#include "crossweep/trial/experiment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "crossweep/trial/calibration.hpp"
#include "trial/tiny_model.hpp"

namespace crossweep::trial {
namespace {

using testing::ElementsAre;

std::vector<std::uint32_t> choose(ImageChoice choice, std::uint32_t count, std::size_t available,
                                  std::uint32_t seed = 1) {
    DataParams params;
    params.images = "images.idx";
    params.choice = choice;
    params.count = count;
    return choose_images(params, seed, available);
}

TEST(ImageChoice, first_and_spread_are_as_named) {
    EXPECT_THAT(choose(ImageChoice::first, 4, 10), ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(choose(ImageChoice::spread, 4, 10), ElementsAre(0, 2, 5, 7));
    EXPECT_THAT(choose(ImageChoice::spread, 10, 10), choose(ImageChoice::first, 10, 10));
}

TEST(ImageChoice, random_draws_sorted_images_once_each) {
    const auto chosen = choose(ImageChoice::random, 300, 1000);
    EXPECT_EQ(chosen.size(), 300);
    EXPECT_TRUE(std::ranges::is_sorted(chosen, std::less_equal{}));  // strictly
    EXPECT_LT(chosen.back(), 1000);
    // The mean of 300 of 1000 is 499.5 +- 13.9; within five standard deviations (alpha < 1e-6).
    EXPECT_NEAR(std::accumulate(chosen.begin(), chosen.end(), 0.0) / 300, 499.5, 70);
}

TEST(ImageChoice, random_depends_on_the_seed_alone) {
    EXPECT_EQ(choose(ImageChoice::random, 30, 100, 5), choose(ImageChoice::random, 30, 100, 5));
    EXPECT_NE(choose(ImageChoice::random, 30, 100, 5), choose(ImageChoice::random, 30, 100, 6));
}

TEST(ImageChoice, more_random_images_contain_fewer) {
    const auto few = choose(ImageChoice::random, 30, 100), many = choose(ImageChoice::random, 60, 100);
    EXPECT_TRUE(std::ranges::includes(many, few));
}

TEST(ImageChoice, zero_is_all_and_more_than_there_are_is_refused) {
    EXPECT_EQ(choose(ImageChoice::spread, 0, 7).size(), 7);
    EXPECT_EQ(io::data_error_of([] { choose(ImageChoice::first, 8, 7); }),
              "images.idx: the data set has 7 images, fewer than data.count = 8. Lower data.count.");
}

TEST(Experiment, divides_images_into_shards) {
    TinyStudy study;
    study.data.count = 55;
    study.data.choice = ImageChoice::spread;
    const Experiment experiment(study.data, 1, study.points());
    EXPECT_EQ(experiment.shards(), 3);
    std::vector<std::uint32_t> together;
    for (std::uint32_t shard = 0; shard < 3; ++shard) {
        const auto images = experiment.images_of(ShardId(shard));
        EXPECT_EQ(images.size(), shard < 2 ? 25 : 5);
        together.insert(together.end(), images.begin(), images.end());
    }
    EXPECT_THAT(together, testing::ElementsAreArray(experiment.images()));
    EXPECT_EQ(experiment.label(together.back()), static_cast<std::int32_t>(together.back() % tiny_classes));
}

TEST(Experiment, is_the_same_on_the_images_to_hold_alone) {
    TinyStudy study;
    study.data.count = 5;
    study.data.choice = ImageChoice::random;
    auto points = study.points();
    points[6].crossbar.adc_range = crossbar::AdcRange::calibrated;
    points[6].crossbar.adc_calibration_images = 3;
    const Experiment whole(study.data, 1, points);
    const auto held = images_to_hold(study.data, 1, points, whole.inputs().count());
    EXPECT_EQ(held.size(), 8);

    ExperimentFiles files = read_files(study.data, points);
    files.inputs = files.inputs.images()->holding(held);
    const Experiment part(study.data, 1, points, std::move(files));
    EXPECT_THAT(part.images(), testing::ElementsAreArray(whole.images()));
    EXPECT_EQ(part.inputs().content_hash(), whole.inputs().content_hash());
    std::vector<std::uint32_t> used(whole.images().begin(), whole.images().end());
    const auto calibrating = calibration_images(part, 3);
    used.insert(used.end(), calibrating.begin(), calibrating.end());
    for (const std::uint32_t image : used) {
        PreparedInput expected, got;
        whole.inputs().prepare(image, whole.model(0).normalisation, expected);
        part.inputs().prepare(image, part.model(0).normalisation, got);
        EXPECT_EQ(got.pixels, expected.pixels) << image;
    }
}

TEST(Experiment, holds_only_the_images_of_the_study_without_calibration) {
    TinyStudy study;
    study.data.count = 4;
    study.data.choice = ImageChoice::spread;
    EXPECT_THAT(images_to_hold(study.data, 1, study.points(), 60), ElementsAre(0, 15, 30, 45));
}

TEST(Experiment, has_one_reference_per_model) {
    TinyStudy study;
    auto points = study.points();
    points[2].model.weights = study.folder / "other.safetensors";
    write_tiny_model(points[2].model.weights, 2);
    const Experiment experiment(study.data, 1, points);
    EXPECT_EQ(experiment.references(), 2);
    for (std::uint32_t point = 0; point < 7; ++point) {
        EXPECT_EQ(experiment.reference_of(PointId(point)), point == 2 ? 1 : 0);
        EXPECT_FALSE(experiment.is_reference(PointId(point)));
    }
    EXPECT_EQ(experiment.reference_point(1), PointId(8));
    EXPECT_TRUE(experiment.is_reference(PointId(8)));
    EXPECT_EQ(experiment.reference_of(PointId(8)), 1);
}

TEST(Experiment, normalises_pixels_by_channel) {
    TinyStudy study;
    write_idx(study.data.images, {1, 8, 8}, std::string(64, '\xFF'));
    write_idx(study.data.labels, {1}, std::string(1, '\0'));
    const Experiment experiment(study.data, 1, study.points());
    PreparedInput prepared;
    experiment.inputs().prepare(0, experiment.model(0).normalisation, prepared);
    EXPECT_THAT(prepared.pixels, testing::AllOf(testing::SizeIs(64),
                                                testing::Each(testing::FloatEq(2.0F))));  // (1 - 0.5) / 0.25
}

TEST(Experiment, takes_the_normalisation_of_the_weights_if_nothing_else_says) {
    TinyStudy study;
    study.data.mean.clear();
    study.data.std.clear();
    write_tiny_model(
        study.model.weights, 1,
        {{"architecture", R"({"num_heads": 2})"}, {"normalisation", R"({"mean": [0.1], "std": [0.2]})"}});
    const Experiment experiment(study.data, 1, study.points());
    EXPECT_THAT(experiment.model(0).normalisation.mean, ElementsAre(0.1));
    EXPECT_THAT(experiment.model(0).normalisation.std, ElementsAre(0.2));
}

struct Misfit {
    const char* name;
    std::function<void(TinyStudy&)> damage;
    std::string sentence;  ///< IMAGES and WEIGHTS stand for the files
};

class ExperimentMisfit : public testing::TestWithParam<Misfit> {};

TEST_P(ExperimentMisfit, is_refused_with_the_sentence) {
    TinyStudy study;
    GetParam().damage(study);
    const std::string message = io::data_error_of([&] { Experiment(study.data, 1, study.points()); });
    std::string expected = GetParam().sentence;
    for (const auto& [word, path] :
         {std::pair("IMAGES", study.data.images), std::pair("WEIGHTS", study.model.weights)}) {
        if (const auto at = expected.find(word); at != std::string::npos) {
            expected.replace(at, std::string(word).size(), path.string());
        }
    }
    EXPECT_EQ(message, expected);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExperimentMisfit,
    testing::Values(
        Misfit{"size", [](TinyStudy& study) { write_tiny_images(study.folder.path(), 3, 12); },
               "IMAGES: images of 12x12 pixels do not fit WEIGHTS, which takes 8x8. Prepare them with "
               "analysis/prepare_images.py."},
        Misfit{"channels", [](TinyStudy& study) { write_tiny_images(study.folder.path(), 3, tiny_size, 3); },
               "IMAGES: images of 3 channels do not fit WEIGHTS, which takes 1. Choose another data set or "
               "model."},
        Misfit{"labels",
               [](TinyStudy& study) {
                   std::string labels(60, '\0');
                   labels[41] = 12;
                   write_idx(study.data.labels, {60}, labels);
               },
               "IMAGES: label 12 of image 41 is beyond the 10 classes of WEIGHTS. Choose a model trained on "
               "these "
               "classes."},
        Misfit{"no_normalisation", [](TinyStudy& study) { study.data.mean = study.data.std = {}; },
               "IMAGES: neither the data set nor WEIGHTS says how to normalise the images. Set data.mean and "
               "data.std, "
               "one number per channel."},
        Misfit{"normalisation_of_other_channels",
               [](TinyStudy& study) {
                   study.data.mean = study.data.std = {1, 1, 1};
               },
               "IMAGES: a normalisation of 3 means and 3 standard deviations does not fit images of 1 "
               "channels. Set "
               "data.mean and data.std."},
        Misfit{"heads", [](TinyStudy& study) { study.model.num_heads = 3; },
               "WEIGHTS: a width of 16 does not divide into 3 heads (set model.num_heads)\n"
               "Give an intact safetensors file of a ViT or DeiT (timm), LV-ViT (TokenLabeling) or "
               "DynamicViT with "
               "its published names."}),
    [](const auto& misfit) { return std::string(misfit.param.name); });

}  // namespace
}  // namespace crossweep::trial
