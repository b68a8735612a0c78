// results.h5 from records: merging, surfaces with intervals, and the file's layout (docs/results.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/core/statistics.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/sweep/plan.hpp"

namespace crossweep::sweep {

/// Version of the layout of results.h5.
inline constexpr int results_version = 1;

/// A named column of values, numeric if `number` is not empty.
struct Column {
    std::string name;
    std::vector<std::string> text;
    std::vector<double> number;
};

/// An axis of the sweep: its coordinate, and one more column per key where several walk together.
struct ResultAxis {
    Column coordinate;
    std::vector<Column> keys;
};

/// Everything about a study that records do not carry.
struct StudyDescription {
    std::vector<std::pair<std::string, std::string>> attributes;  ///< of the file: provenance, in order
    double confidence = 0.95;
    std::vector<ResultAxis> axes;       ///< their product, row-major, gives the points
    std::vector<Column> parameters;     ///< [point]
    std::vector<std::uint32_t> images;  ///< index of each image in the data set
    std::vector<std::int32_t> labels;   ///< of each image
    std::size_t shard_images = 1;       ///< images of a shard; the last may have fewer
    std::size_t points = 0;             ///< without the references, which follow them in the workload
    std::size_t references = 0;
    std::vector<std::size_t> reference_of_point;
    std::vector<ChipNoise> chip_noise;  ///< [point]
};

/// Numbers of records by the instruction sets that computed them (io::Record::path).
using PathCounts = std::map<std::string, std::size_t>;

/// The records of a study laid out by point, trial and shard; null where there is none.
class RecordTable {
  public:
    RecordTable(const Workload& workload, std::span<const io::Record> records);

    const io::Record* find(std::size_t point, std::size_t trial, std::size_t shard) const;
    /// The study's records only, in key order: `content_hash` of them names the result.
    ContentHash content_hash() const;
    std::size_t succeeded() const;
    std::size_t failed() const;
    /// Of the records that succeeded; a failed one holds no numbers that a path could have decided.
    PathCounts paths() const;
    const Workload& workload() const { return *workload_; }

  private:
    const Workload* workload_;
    std::vector<const io::Record*> table_;
};

/// What is known of one point.
struct PointSummary {
    std::size_t images = 0, trials = 0;  ///< the rectangle of complete records that the estimates rest on
    TwoWayEstimate top1_accuracy;        ///< fraction correct
    Estimate top5_accuracy;              ///< fraction correct, interval over trials
    TwoWayEstimate accuracy_drop;        ///< noise-free minus noisy, paired by image
    Estimate snr_dB;                     ///< mean over layers, interval over trials
    std::vector<double> snr_layer_dB;    ///< all trials together
};

/// Summaries of all points. A point without records has NaN estimates and zero images.
std::vector<PointSummary> summarise(const StudyDescription& study, const RecordTable& table);

/// Write results.h5, whole or not at all. Throws DataError if it cannot be written.
void write_results(const std::filesystem::path& path, const StudyDescription& study,
                   const RecordTable& table);

}  // namespace crossweep::sweep
