// The layout of results.h5. docs/results.md documents it field by field; change both together.
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {
namespace {

constexpr float float_nan = std::numeric_limits<float>::quiet_NaN();
constexpr double double_nan = std::numeric_limits<double>::quiet_NaN();

/// A dimension of a data set: the path of its scale, and its length.
struct Dimension {
    std::string scale;
    std::size_t size;
};
using Dimensions = std::vector<Dimension>;

class ResultsWriter {
  public:
    ResultsWriter(io::Hdf5File& file, const StudyDescription& study, const RecordTable& table)
        : file_(file),
          study_(study),
          table_(table),
          trials_(table.workload().trials),
          shards_(table.workload().shards),
          layers_(count_layers()),
          paths_(table.paths()) {}

    void write() {
        write_attributes();
        write_dimensions();
        write_points();
        write_paths();
        write_records();
        write_predictions();
        write_attention();
        write_surfaces();
    }

  private:
    template <class T>
    void put(const std::string& path, const std::vector<T>& values, const Dimensions& dimensions,
             std::string_view units, std::string_view long_name) {
        std::vector<std::size_t> shape;
        for (const Dimension& dimension : dimensions) shape.push_back(dimension.size);
        file_.write<T>(path, values, shape);
        file_.set_attribute(path, "units", units);
        file_.set_attribute(path, "long_name", long_name);
        for (std::size_t d = 0; d < dimensions.size(); ++d) {
            if (dimensions[d].scale != path) file_.attach_scale(path, d, dimensions[d].scale);
        }
    }

    void put_column(const std::string& path, const Column& column, const Dimension& dimension) {
        if (column.number.empty()) {
            put(path, column.text, {dimension}, "1", column.name);
        } else {
            put(path, column.number, {dimension}, unit_of(column.name), column.name);
        }
    }

    /// The unit that a name carries as its suffix.
    static std::string unit_of(const std::string& name) {
        constexpr std::array<std::string_view, 3> units{"S", "s", "dB"};
        for (const auto unit : units) {
            if (name.ends_with(unit) && name[name.size() - unit.size() - 1] == '_') return std::string(unit);
        }
        return "1";
    }

    std::size_t count_layers() const {
        std::size_t layers = 0;
        for_each_record([&](std::size_t, std::size_t, std::size_t, const io::Record& r) {
            layers = std::max(layers, r.signal.size());
        });
        return layers;
    }

    /// Visit every record of a point that is there, failed ones included.
    template <class Visit>
    void for_each_record(Visit&& visit) const {
        for (std::size_t p = 0; p < study_.points; ++p) {
            for (std::size_t t = 0; t < table_.workload().trials; ++t) {
                for (std::size_t s = 0; s < table_.workload().shards; ++s) {
                    if (const io::Record* record = table_.find(p, t, s)) visit(p, t, s, *record);
                }
            }
        }
    }

    void write_attributes() {
        file_.set_attribute("/", "format", "crossweep results");
        file_.set_attribute("/", "format_version", std::to_string(results_version));
        for (const auto& [name, value] : study_.attributes) file_.set_attribute("/", name, value);
        file_.set_attribute("/", "content_hash", table_.content_hash().hex());
        const bool complete = table_.succeeded() == table_.workload().records();
        file_.set_attribute("/", "complete", complete ? "true" : "false");
        file_.set_attribute("/", "confidence", std::array{study_.confidence});
    }

    void write_dimension(const Dimension& dimension, std::string_view long_name) {
        std::vector<std::uint32_t> index(dimension.size);
        std::iota(index.begin(), index.end(), 0U);
        put(dimension.scale, index, {dimension}, "1", long_name);
    }

    void write_dimensions() {
        write_dimension(point_, "point of the study");
        write_dimension(trial_, "trial (chip)");
        write_dimension(shard_, "shard of the images");
        write_dimension(layer_, "encoder block");
        write_dimension(reference_, "noise-free reference");
        put(image_.scale, study_.images, {image_}, "1", "index of the image in the data set");
        put("/labels", study_.labels, {image_}, "1", "correct class");
    }

    void write_points() {
        for (const Column& column : study_.parameters) put_column("/points/" + column.name, column, point_);
        std::vector<std::uint32_t> reference(study_.reference_of_point.begin(),
                                             study_.reference_of_point.end());
        put("/points/reference", reference, {point_}, "1", "noise-free reference of the point");
    }

    void write_paths() {
        std::vector<std::string> names;
        std::vector<std::uint32_t> records;
        for (const auto& [name, count] : paths_) {
            names.push_back(name);
            records.push_back(static_cast<std::uint32_t>(count));
        }
        const Dimension path{"/path", paths_.size()};
        write_dimension(path, "instruction-set path");
        put("/paths/name", names, {path}, "1", "instruction sets that computed records");
        put("/paths/records", records, {path}, "1", "records that they computed, with the references");
    }

    void write_records() {
        const std::size_t cells = study_.points * trials_ * shards_;
        std::vector<std::uint32_t> images(cells), top1(cells), top5(cells);
        std::vector<double> seconds(cells);
        std::vector<std::uint8_t> failed(cells, 2);
        std::vector<std::int32_t> path(cells, -1);
        for_each_record([&](std::size_t p, std::size_t t, std::size_t s, const io::Record& record) {
            const std::size_t cell = (p * trials_ + t) * shards_ + s;
            images[cell] = record.images;
            top1[cell] = record.correct_top1;
            top5[cell] = record.correct_top5;
            seconds[cell] = record.seconds;
            failed[cell] = record.failed() ? 1 : 0;
            const auto place = std::distance(paths_.begin(), paths_.find(record.path));
            if (!record.failed()) path[cell] = static_cast<std::int32_t>(place);
        });
        const Dimensions by_record{point_, trial_, shard_};
        put("/records/images", images, by_record, "1", "images evaluated");
        put("/records/correct_top1", top1, by_record, "1", "images whose largest logit is the label's");
        put("/records/correct_top5", top5, by_record, "1",
            "images whose label is among the five largest logits");
        put("/records/seconds", seconds, by_record, "s", "compute time");
        put("/records/failed", failed, by_record, "1", "0 done, 1 failed, 2 not computed yet");
        put("/records/path", path, by_record, "1", "index into /paths, -1 without a result");
    }

    void write_predictions() {
        const std::size_t images = study_.images.size();
        std::vector<std::int32_t> predicted(study_.points * trials_ * images, -1);
        std::vector<float> margin(predicted.size(), float_nan);
        for_each_record([&](std::size_t p, std::size_t t, std::size_t s, const io::Record& record) {
            const std::size_t first = (p * trials_ + t) * images + s * study_.shard_images;
            std::copy(record.predicted.begin(), record.predicted.end(),
                      predicted.begin() + static_cast<long>(first));
            std::copy(record.margin.begin(), record.margin.end(), margin.begin() + static_cast<long>(first));
        });
        put("/predictions/class", predicted, {point_, trial_, image_}, "1", "class with the largest logit");
        put("/predictions/margin", margin, {point_, trial_, image_}, "1",
            "logit of the label minus the largest other");
        write_references();
    }

    void write_references() {
        const std::size_t images = study_.images.size();
        std::vector<std::int32_t> predicted(study_.references * images, -1);
        std::vector<float> margin(predicted.size(), float_nan);
        for (std::size_t r = 0; r < study_.references; ++r) {
            for (std::size_t s = 0; s < shards_; ++s) {
                const io::Record* record = table_.find(study_.points + r, 0, s);
                if (record == nullptr) continue;
                const auto first = static_cast<long>(r * images + s * study_.shard_images);
                std::copy(record->predicted.begin(), record->predicted.end(), predicted.begin() + first);
                std::copy(record->margin.begin(), record->margin.end(), margin.begin() + first);
            }
        }
        put("/reference/class", predicted, {reference_, image_}, "1", "noise-free prediction");
        put("/reference/margin", margin, {reference_, image_}, "1", "noise-free margin of the label");
    }

    void write_attention() {
        std::vector<double> signal(study_.points * trials_ * layers_), noise(signal.size());
        for_each_record([&](std::size_t p, std::size_t t, std::size_t, const io::Record& record) {
            for (std::size_t layer = 0; layer < record.signal.size(); ++layer) {
                signal[(p * trials_ + t) * layers_ + layer] += record.signal[layer];
                noise[(p * trials_ + t) * layers_ + layer] += record.noise[layer];
            }
        });
        put("/attention/signal", signal, {point_, trial_, layer_}, "1", "sum of A^2 over images");
        put("/attention/noise", noise, {point_, trial_, layer_}, "1", "sum of (A - A')^2 over images");
    }

    void write_surfaces() {
        Dimensions grid;
        for (const ResultAxis& axis : study_.axes) {
            const Dimension dimension{"/surfaces/" + axis.coordinate.name, axis.coordinate.text.size()};
            put_column(dimension.scale, axis.coordinate, dimension);
            for (const Column& key : axis.keys) put_column("/surfaces/" + key.name, key, dimension);
            grid.push_back(dimension);
        }
        std::vector<std::string> names;
        for (const ResultAxis& axis : study_.axes) names.push_back(axis.coordinate.name);
        file_.write<std::string>("/axes", names);
        file_.set_attribute("/axes", "long_name", "axes of the sweep, outermost first");

        const Dimension bound{"/surfaces/bound", 3}, layer{"/surfaces/layer", layers_};
        put(bound.scale, std::vector<std::string>{"low", "best", "high"}, {bound}, "1",
            "bound of the interval");
        write_dimension(layer, "encoder block");

        const auto summaries = summarise(study_, table_);
        const auto put_estimates = [&](const std::string& name, auto&& get, std::string_view units,
                                       std::string_view long_name) {
            std::vector<double> values;
            for (const PointSummary& summary : summaries) {
                const Estimate& e = get(summary);
                values.insert(values.end(), {e.low, e.best, e.high});
            }
            Dimensions dimensions = grid;
            dimensions.push_back(bound);
            put("/surfaces/" + name, values, dimensions, units, long_name);
        };
        using S = PointSummary;
        put_estimates(
            "top1_accuracy", [](const S& s) { return s.top1_accuracy.this_data_set; }, "1",
            "fraction correct; interval over trials, these images");
        put_estimates(
            "top1_accuracy_images_like_these", [](const S& s) { return s.top1_accuracy.images_like_these; },
            "1", "fraction correct; interval over images and trials");
        put_estimates(
            "top5_accuracy", [](const S& s) { return s.top5_accuracy; }, "1",
            "fraction with the label among five; interval over trials");
        put_estimates(
            "accuracy_drop", [](const S& s) { return s.accuracy_drop.images_like_these; }, "1",
            "noise-free minus noisy fraction correct, paired; interval over images and trials");
        put_estimates(
            "snr_dB", [](const S& s) { return s.snr_dB; }, "dB",
            "mean over layers of the attention SNR; interval over trials");

        std::vector<double> by_layer;
        for (const PointSummary& summary : summaries) {
            for (std::size_t l = 0; l < layers_; ++l) {
                by_layer.push_back(l < summary.snr_layer_dB.size() ? summary.snr_layer_dB[l] : double_nan);
            }
        }
        Dimensions dimensions = grid;
        dimensions.push_back(layer);
        put("/surfaces/snr_layer_dB", by_layer, dimensions, "dB", "attention SNR of each layer");
    }

    io::Hdf5File& file_;
    const StudyDescription& study_;
    const RecordTable& table_;
    std::size_t trials_, shards_, layers_;
    PathCounts paths_;
    Dimension point_{"/point", study_.points}, trial_{"/trial", trials_}, shard_{"/shard", shards_};
    Dimension image_{"/image", study_.images.size()}, layer_{"/layer", layers_};
    Dimension reference_{"/reference_index", study_.references};
};

}  // namespace

void write_results(const std::filesystem::path& path, const StudyDescription& study,
                   const RecordTable& table) {
    io::write_atomically(path, [&](const std::filesystem::path& temporary) {
        io::Hdf5File file(temporary, io::Hdf5File::Mode::create);
        ResultsWriter(file, study, table).write();
        file.close();
    });
}

}  // namespace crossweep::sweep
