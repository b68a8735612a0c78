// The layout of results.h5. docs/results.md documents it field by field; change both together.
#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "cost_tables.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/sweep/results.hpp"
#include "labelled_file.hpp"
#include "point_stream.hpp"

namespace crossweep::sweep {
namespace {

constexpr float float_nan = std::numeric_limits<float>::quiet_NaN();
constexpr double double_nan = std::numeric_limits<double>::quiet_NaN();

/// Predictions of images, absent until they are put.
struct Predictions {
    std::vector<std::int32_t> predicted;
    std::vector<float> margin, loss;

    explicit Predictions(std::size_t images)
        : predicted(images, -1), margin(images, float_nan), loss(images, float_nan) {}
    void put(const io::Record& record, std::size_t first) {
        std::ranges::copy(record.predicted, predicted.begin() + static_cast<long>(first));
        std::ranges::copy(record.margin, margin.begin() + static_cast<long>(first));
        std::ranges::copy(record.loss, loss.begin() + static_cast<long>(first));
    }
};

class ResultsWriter {
  public:
    ResultsWriter(io::Hdf5File& file, const StudyDescription& study, const Census& census,
                  const ScratchFolder& folder)
        : file_(file),
          data_(file),
          study_(study),
          census_(census),
          hasher_(census, folder),
          trials_(census.workload().trials),
          shards_(census.workload().shards),
          layers_(census.layers()) {}

    ContentHash write(PointStream& points) {
        write_attributes();
        write_dimensions();
        write_points();
        write_paths();
        write_references(points);
        write_records(points);
        write_surfaces();
        const ContentHash content = hasher_.digest();
        file_.set_attribute("/", "content_hash", content.hex());
        return content;
    }

  private:
    void put_column(const std::string& path, const Column& column, const Dimension& dimension) {
        if (column.number.empty()) {
            data_.put(path, column.text, {dimension}, "1", column.name);
        } else {
            data_.put(path, column.number, {dimension}, unit_of(column.name), column.name);
        }
    }

    void write_attributes() {
        file_.set_attribute("/", "format", "crossweep results");
        file_.set_attribute("/", "format_version", std::to_string(results_version));
        for (const auto& [name, value] : study_.attributes) file_.set_attribute("/", name, value);
        file_.set_attribute("/", "complete", census_.complete() ? "true" : "false");
        file_.set_attribute("/", "confidence", std::array{study_.confidence});
        if (study_.is_of_language_model())
            file_.set_attribute("/", "characters_per_token", std::array{study_.characters_per_token});
    }

    void write_dimensions() {
        data_.put_scale(point_, "point of the study");
        data_.put_scale(trial_, "trial (chip)");
        data_.put_scale(shard_, "shard of the images");
        data_.put_scale(layer_, "encoder block");
        data_.put_scale(reference_, "noise-free reference");
        data_.put(image_.scale, study_.images, {image_}, "1", "index of the image in the data set");
        data_.put("/labels", study_.labels, {image_}, "1",
                  study_.is_of_language_model() ? "last token of the text" : "correct class");
    }

    void write_points() {
        for (const Column& column : study_.parameters) put_column("/points/" + column.name, column, point_);
        std::vector<std::uint32_t> reference(study_.reference_of_point.begin(),
                                             study_.reference_of_point.end());
        data_.put("/points/reference", reference, {point_}, "1", "noise-free reference of the point");
    }

    void write_paths() {
        std::vector<std::string> names;
        std::vector<std::uint32_t> records;
        for (const auto& [name, count] : census_.paths()) {
            names.push_back(name);
            records.push_back(static_cast<std::uint32_t>(count));
        }
        const Dimension path{"/path", names.size()};
        data_.put_scale(path, "instruction-set path");
        data_.put("/paths/name", names, {path}, "1", "instruction sets that computed records");
        data_.put("/paths/records", records, {path}, "1", "records that they computed, with the references");
    }

    void write_references(const PointStream& points) {
        const std::size_t images = study_.images.size();
        Predictions predictions(study_.references * images);
        for (std::size_t r = 0; r < study_.references; ++r) {
            const PointId point(static_cast<std::uint32_t>(study_.points + r));
            const PointRecords& records = points.reference(point);
            hasher_.add(point, records);
            for (std::size_t s = 0; s < shards_; ++s) {
                if (const io::Record* record = records.find(0, s))
                    predictions.put(*record, r * images + s * study_.shard_images);
            }
        }
        data_.put("/reference/class", predictions.predicted, {reference_, image_}, "1",
                  "noise-free prediction");
        data_.put("/reference/margin", predictions.margin, {reference_, image_}, "1",
                  "noise-free margin of the label");
        data_.put("/reference/loss", predictions.loss, {reference_, image_}, "nat",
                  "noise-free cross entropy");
    }

    /// The three tables that have a row for each point, a point at a time.
    void write_records(PointStream& points) {
        CountRows counts = count_rows();
        PredictionRows predictions = prediction_rows();
        AttentionRows attention = attention_rows();
        points.for_each_point([&](PointId point, const PointRecords& records) {
            hasher_.add(point, records);
            write_counts(counts, records);
            write_predictions(predictions, records);
            write_attention(attention, records);
            const std::size_t reference = study_.points + study_.reference_of_point[point.value()];
            summaries_.push_back(summarise(study_, point.value(), records,
                                           points.reference(PointId(static_cast<std::uint32_t>(reference)))));
        });
    }

    struct CountRows {
        io::Hdf5Rows images, predictions, top1, top5, seconds, failed, path;
    };

    CountRows count_rows() {
        const Dimensions by_record{point_, trial_, shard_};
        return {data_.rows<std::uint32_t>("/records/images", by_record, "1", "images evaluated"),
                data_.rows<std::uint32_t>("/records/predictions", by_record, "1",
                                          "predictions that every image asks for: of a text its next tokens"),
                data_.rows<std::uint32_t>("/records/correct_top1", by_record, "1",
                                          "predictions whose largest logit is the label's"),
                data_.rows<std::uint32_t>("/records/correct_top5", by_record, "1",
                                          "predictions whose label is among the five largest logits"),
                data_.rows<double>("/records/seconds", by_record, "s", "compute time"),
                data_.rows<std::uint8_t>("/records/failed", by_record, "1",
                                         "0 done, 1 failed, 2 not computed yet"),
                data_.rows<std::int32_t>("/records/path", by_record, "1",
                                         "index into /paths, -1 without a result")};
    }

    void write_counts(CountRows& rows, const PointRecords& records) const {
        const std::size_t cells = trials_ * shards_;
        std::vector<std::uint32_t> images(cells), predictions(cells), top1(cells), top5(cells);
        std::vector<double> seconds(cells);
        std::vector<std::uint8_t> failed(cells, 2);
        std::vector<std::int32_t> path(cells, -1);
        for_each_record(records, [&](std::size_t t, std::size_t s, const io::Record& record) {
            const std::size_t cell = t * shards_ + s;
            images[cell] = record.images;
            predictions[cell] = record.failed() ? 0 : record.predictions;
            top1[cell] = record.correct_top1;
            top5[cell] = record.correct_top5;
            seconds[cell] = record.seconds;
            failed[cell] = record.failed() ? 1 : 0;
            const PathCounts& paths = census_.paths();
            const auto place = std::distance(paths.begin(), paths.find(record.path));
            if (!record.failed()) path[cell] = static_cast<std::int32_t>(place);
        });
        rows.images.append<std::uint32_t>(images);
        rows.predictions.append<std::uint32_t>(predictions);
        rows.top1.append<std::uint32_t>(top1);
        rows.top5.append<std::uint32_t>(top5);
        rows.seconds.append<double>(seconds);
        rows.failed.append<std::uint8_t>(failed);
        rows.path.append<std::int32_t>(path);
    }

    struct PredictionRows {
        io::Hdf5Rows predicted, margin, loss;
    };

    PredictionRows prediction_rows() {
        const Dimensions by_image{point_, trial_, image_};
        return {data_.rows<std::int32_t>("/predictions/class", by_image, "1", "class with the largest logit"),
                data_.rows<float>("/predictions/margin", by_image, "1",
                                  "logit of the label minus the largest other"),
                data_.rows<float>("/predictions/loss", by_image, "nat",
                                  "cross entropy, mean over its predictions")};
    }

    void write_predictions(PredictionRows& rows, const PointRecords& records) const {
        const std::size_t images = study_.images.size();
        Predictions predictions(trials_ * images);
        for_each_record(records, [&](std::size_t t, std::size_t s, const io::Record& record) {
            predictions.put(record, t * images + s * study_.shard_images);
        });
        rows.predicted.append<std::int32_t>(predictions.predicted);
        rows.margin.append<float>(predictions.margin);
        rows.loss.append<float>(predictions.loss);
    }

    struct AttentionRows {
        io::Hdf5Rows signal, noise;
    };

    AttentionRows attention_rows() {
        const Dimensions by_layer{point_, trial_, layer_};
        return {data_.rows<double>("/attention/signal", by_layer, "1", "sum of A^2 over images"),
                data_.rows<double>("/attention/noise", by_layer, "1", "sum of (A - A')^2 over images")};
    }

    void write_attention(AttentionRows& rows, const PointRecords& records) const {
        std::vector<double> signal(trials_ * layers_), noise(signal.size());
        for_each_record(records, [&](std::size_t t, std::size_t, const io::Record& record) {
            for (std::size_t layer = 0; layer < record.signal.size(); ++layer) {
                signal[t * layers_ + layer] += record.signal[layer];
                noise[t * layers_ + layer] += record.noise[layer];
            }
        });
        rows.signal.append<double>(signal);
        rows.noise.append<double>(noise);
    }

    /// Visit the records that are there, failed ones included.
    static void for_each_record(const PointRecords& records, auto&& visit) {
        for (std::size_t t = 0; t < records.trials(); ++t) {
            for (std::size_t s = 0; s < records.shards(); ++s) {
                if (const io::Record* record = records.find(t, s)) visit(t, s, *record);
            }
        }
    }

    void write_surfaces() {
        const Dimensions grid = write_axes();
        Dimensions by_bound = grid, by_layer = grid;
        by_bound.push_back({"/surfaces/bound", 3});
        by_layer.push_back({"/surfaces/layer", layers_});
        data_.put(by_bound.back().scale, std::vector<std::string>{"low", "best", "high"}, {by_bound.back()},
                  "1", "bound of the interval");
        data_.put_scale(by_layer.back(), "encoder block");

        write_accuracies(by_bound);
        write_losses(by_bound);
        put_estimates("snr_dB", by_bound, std::mem_fn(&PointSummary::snr_dB), "dB",
                      "mean over layers of the attention SNR; interval over trials");
        std::vector<double> snr_layer_dB;
        for (const PointSummary& summary : summaries_) {
            for (std::size_t l = 0; l < layers_; ++l)
                snr_layer_dB.push_back(l < summary.snr_layer_dB.size() ? summary.snr_layer_dB[l]
                                                                       : double_nan);
        }
        data_.put("/surfaces/snr_layer_dB", snr_layer_dB, by_layer, "dB", "attention SNR of each layer");
        write_costs(data_, study_, point_, grid);
    }

    Dimensions write_axes() {
        Dimensions grid;
        std::vector<std::string> names;
        for (const ResultAxis& axis : study_.axes) {
            const Dimension dimension{"/surfaces/" + axis.coordinate.name, axis.coordinate.text.size()};
            put_column(dimension.scale, axis.coordinate, dimension);
            for (const Column& key : axis.keys) put_column("/surfaces/" + key.name, key, dimension);
            grid.push_back(dimension);
            names.push_back(axis.coordinate.name);
        }
        file_.write<std::string>("/axes", names);
        file_.set_attribute("/axes", "long_name", "axes of the sweep, outermost first");
        return grid;
    }

    /// `estimate(summary)` of every point.
    void put_estimates(const std::string& name, const Dimensions& dimensions, auto&& estimate,
                       std::string_view units, std::string_view long_name) {
        std::vector<double> values;
        for (const PointSummary& summary : summaries_) {
            const Estimate e = estimate(summary);
            values.insert(values.end(), {e.low, e.best, e.high});
        }
        data_.put("/surfaces/" + name, values, dimensions, units, long_name);
    }

    /// Two surfaces of `estimate(two_way(summary))`, one for each question that an interval answers.
    void put_two_way(const std::string& name, const Dimensions& dimensions, auto&& two_way, auto&& estimate,
                     std::string_view units, const std::string& meaning) {
        put_estimates(
            name, dimensions, [&](const auto& summary) { return estimate(two_way(summary).this_data_set); },
            units, meaning + "; interval over trials, these images");
        put_estimates(
            name + "_images_like_these", dimensions,
            [&](const auto& summary) { return estimate(two_way(summary).images_like_these); }, units,
            meaning + "; interval over images and trials");
    }

    void write_accuracies(const Dimensions& dimensions) {
        put_two_way("top1_accuracy", dimensions, std::mem_fn(&PointSummary::top1_accuracy), std::identity(),
                    "1", "fraction correct");
        put_estimates("top5_accuracy", dimensions, std::mem_fn(&PointSummary::top5_accuracy), "1",
                      "fraction with the label among five; interval over trials");
        put_estimates(
            "accuracy_drop", dimensions,
            [](const PointSummary& summary) { return summary.accuracy_drop.images_like_these; }, "1",
            "noise-free minus noisy fraction correct, paired; interval over images and trials");
    }

    void write_losses(const Dimensions& dimensions) {
        const auto loss = std::mem_fn(&PointSummary::loss);
        put_two_way("loss", dimensions, loss, std::identity(), "nat", "cross entropy of the right answers");
        if (!study_.is_of_language_model()) return;
        put_two_way("perplexity", dimensions, loss, perplexity, "1", "exp of the loss");
        const auto bits = [&](const Estimate& e) {
            return bits_per_character(e, study_.characters_per_token);
        };
        put_two_way("bits_per_character", dimensions, loss, bits, "bit", "loss of a token by its characters");
    }

    io::Hdf5File& file_;
    LabelledFile data_;
    const StudyDescription& study_;
    const Census& census_;
    StudyHasher hasher_;
    std::size_t trials_, shards_, layers_;
    std::vector<PointSummary> summaries_;
    Dimension point_{"/point", study_.points}, trial_{"/trial", trials_}, shard_{"/shard", shards_};
    Dimension image_{"/image", study_.images.size()}, layer_{"/layer", layers_};
    Dimension reference_{"/reference_index", study_.references};
};

}  // namespace

ContentHash write_results(const std::filesystem::path& path, const StudyDescription& study,
                          const Census& census, const RecordSource& records, std::size_t memory_bytes) {
    ContentHash content;
    io::write_atomically(path, [&](const std::filesystem::path& temporary) {
        const ScratchFolder folder(path.parent_path() / "merge.tmp");
        io::Hdf5File file(temporary, io::Hdf5File::Mode::create_on_disk);
        PointStream points(census, records, memory_bytes, folder);
        content = ResultsWriter(file, study, census, folder).write(points);
        file.close();
    });
    return content;
}

}  // namespace crossweep::sweep
