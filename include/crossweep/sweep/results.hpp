// results.h5 from records: merging, surfaces with intervals, and the file's layout (docs/results.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/core/statistics.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/sweep/census.hpp"

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

/// Energy, area and latency of a part of the hardware.
struct PartCost {
    double energy_J = 0, area_m2 = 0, latency_s = 0;
    bool operator==(const PartCost&) const = default;
};

/// What one input costs at a point: of texts on average over those of the study, but for the area, which is
/// that of the longest.
struct CostOfPoint {
    std::vector<PartCost> components;  ///< in the order of StudyDescription::cost_components
    std::vector<PartCost> layers;      ///< [block], then everything outside the blocks together
    double chips = 0, arrays = 0, array_reads = 0, conversions = 0, cell_writes = 0, write_pulses = 0;
    double writes_per_cell = 0;  ///< of the cells that are written for every input
    double wear_out_years = 0;   ///< infinite if no cell wears
    bool operator==(const CostOfPoint&) const = default;

    PartCost total() const;
};

/// Everything about a study that records do not carry.
struct StudyDescription {
    std::vector<std::pair<std::string, std::string>> attributes;  ///< of the file: provenance, in order
    double confidence = 0.95;
    std::vector<ResultAxis> axes;       ///< their product, row-major, gives the points
    std::vector<Column> parameters;     ///< [point]
    std::vector<std::uint32_t> images;  ///< index of each image in the data set
    std::vector<std::int32_t> labels;   ///< of each image; of a text without a class its last token
    std::size_t shard_images = 1;       ///< images of a shard; the last may have fewer
    std::size_t points = 0;             ///< without the references, which follow them in the workload
    std::size_t references = 0;
    std::vector<std::size_t> reference_of_point;
    std::vector<ChipNoise> chip_noise;  ///< [point]
    double characters_per_token = 0;    ///< of a study of a language model; else 0
    std::vector<std::string> cost_components;
    std::vector<CostOfPoint> costs;  ///< [point]; empty where a study was stored without

    bool is_of_language_model() const { return characters_per_token > 0; }
};

/// The records of one point by trial and shard, null where there is none.
class PointRecords {
  public:
    PointRecords(std::size_t trials, std::size_t shards) : shards_(shards), table_(trials * shards) {}

    std::size_t trials() const { return shards_ == 0 ? 0 : table_.size() / shards_; }
    std::size_t shards() const { return shards_; }
    const io::Record* find(std::size_t trial, std::size_t shard) const {
        return table_[trial * shards_ + shard];
    }
    /// Of several records at one place, the first that succeeded stays, else the last that failed. `record`
    /// has to live as long.
    void put(const io::Record& record);

  private:
    std::size_t shards_;
    std::vector<const io::Record*> table_;
};

/// What is known of one point. Of a text, what is correct is the fraction of its tokens that are.
struct PointSummary {
    std::size_t images = 0, trials = 0;  ///< the rectangle of complete records that the estimates rest on
    TwoWayEstimate top1_accuracy;        ///< fraction correct
    Estimate top5_accuracy;              ///< fraction correct, interval over trials
    TwoWayEstimate accuracy_drop;        ///< noise-free minus noisy, paired by image
    TwoWayEstimate loss;                 ///< cross entropy in nats; NaN if any record has none
    Estimate snr_dB;                     ///< mean over layers, interval over trials
    std::vector<double> snr_layer_dB;    ///< all trials together
};

/// exp of a loss in nats and of its bounds (Jelinek et al. 1977, J. Acoust. Soc. Am. 62, S63).
Estimate perplexity(const Estimate& loss);
/// A loss per token in nats, as bits per character.
Estimate bits_per_character(const Estimate& loss, double characters_per_token);

/// Summary of `point` from its records and those of its reference. Without records it has NaN estimates and
/// zero images.
PointSummary summarise(const StudyDescription& study, std::size_t point, const PointRecords& records,
                       const PointRecords& reference);

/// Calls its argument with every record, in any order, with repetitions or without.
using RecordSource = std::function<void(const std::function<void(const io::Record&)>&)>;

/// Memory for records while results are written: what does not fit waits in files beside results.h5.
inline constexpr std::size_t default_merge_bytes = std::size_t{64} * 1024 * 1024;

/// Write results.h5, whole or not at all, from the records that `census` has counted. Points come in turns,
/// as many at a time as `memory_bytes` hold, at least one. Gives the content hash of the study's records.
/// Throws DataError if the file cannot be written.
ContentHash write_results(const std::filesystem::path& path, const StudyDescription& study,
                          const Census& census, const RecordSource& records,
                          std::size_t memory_bytes = default_merge_bytes);

}  // namespace crossweep::sweep
