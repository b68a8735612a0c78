// study.json: what is written is read again, and what was written before there were costs still is.
#include "stored_study.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::app {
namespace {

using Json = nlohmann::ordered_json;

sweep::CostOfPoint cost_of(double energy_J) {
    return {.components = {{energy_J, 2e-6, 1.0 / 3}, {0, 1e-7, 0}},
            .layers = {{energy_J, 2e-6, 1.0 / 3}, {0, 1e-7, 0}},
            .chips = 2,
            .arrays = 7,
            .array_reads = 6,
            .conversions = 5,
            .cell_writes = 4,
            .write_pulses = 3,
            .writes_per_cell = 0.1,
            .wear_out_years = energy_J > 1 ? std::numeric_limits<double>::infinity() : 0.25};
}

/// Four points, two of which cost the same.
StoredStudy small_study() {
    StoredStudy study{"small", {}, {}};
    study.workload = {{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}},
                      {0, 0, 0, 0, 0},
                      {false, false, false, false, true},
                      1,
                      1,
                      32};
    study.description.points = 4;
    study.description.references = 1;
    study.description.reference_of_point.assign(4, 0);
    study.description.chip_noise.assign(4, ChipNoise::none);
    study.description.cost_components = {"array", "adc"};
    study.description.costs = {cost_of(0.1), cost_of(2), cost_of(0.1), cost_of(0.2)};
    return study;
}

class StoredStudyFile : public testing::Test {
  protected:
    Json contents() const { return Json::parse(io::read_text(file_)).at("study"); }
    /// Write `study` as a crossweep of before would have.
    void put(const Json& study) const {
        const Json json{{"version", 1}, {"hash", hash_text(study.dump()).hex()}, {"study", study}};
        io::write_text_atomically(file_, json.dump() + "\n");
    }

    io::TemporaryFolder folder_;
    sweep::RunDirectory directory_ = sweep::RunDirectory::open(
        folder_ / "run", "", [](const auto&) { return std::vector<std::string>(); }, {});
    std::filesystem::path file_ = folder_ / "run/study.json";
};

TEST_F(StoredStudyFile, gives_back_every_cost_bit_by_bit) {
    const StoredStudy study = small_study();
    store(study, directory_);
    const StoredStudy read = read_stored_study(directory_);
    EXPECT_EQ(read.description.costs, study.description.costs);
    EXPECT_EQ(read.description.cost_components, study.description.cost_components);
}

TEST_F(StoredStudyFile, has_equal_costs_once) {
    store(small_study(), directory_);
    const Json costs = contents().at("description").at("costs");
    EXPECT_EQ(costs.at("distinct").size(), 3U);
    EXPECT_EQ(costs.at("cost_of_point").get<std::vector<int>>(), (std::vector{0, 1, 0, 2}));
}

TEST_F(StoredStudyFile, of_before_there_were_costs_is_read_without) {
    store(small_study(), directory_);
    Json before = contents();
    before["description"].erase("costs");
    put(before);
    const StoredStudy read = read_stored_study(directory_);
    EXPECT_EQ(read.description.points, 4U);
    EXPECT_TRUE(read.description.costs.empty());
    // A run that knows the costs writes them anew.
    store(small_study(), directory_);
    EXPECT_EQ(read_stored_study(directory_).description.costs.size(), 4U);
}

}  // namespace
}  // namespace crossweep::app
