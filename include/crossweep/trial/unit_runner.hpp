// The one place where physics and model are composed: a unit of work in, its records out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "crossweep/core/work_unit.hpp"
#include "crossweep/crossbar/activity.hpp"
#include "crossweep/crossbar/programmed_weights.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/linalg/elementwise.hpp"
#include "crossweep/linalg/matmul_engine.hpp"
#include "crossweep/trial/answer.hpp"
#include "crossweep/trial/experiment.hpp"

namespace crossweep::trial {

/// Runs units of `experiment`, one at a time; keeps the memory of activations and the weights of the last
/// chip.
class UnitRunner {
  public:
    /// `experiment` must outlive the runner. `batch_images` images pass each layer together and share one
    /// reference in memory. What engines do is counted in `activity`, if it is not null.
    UnitRunner(const Experiment& experiment, std::uint32_t seed, std::size_t batch_images,
               crossbar::ActivityTable* activity = nullptr);

    /// One record per point of `unit`, in its order, with `path`, `key.trial` and `key.shard` but not
    /// `key.point` set. Each batch of images gets its noise-free reference once; then every point runs
    /// against it. A point whose logits are not finite gets a failed record; the others are not affected.
    /// Once `cancelled`, which is asked before every point of a batch, says so, gives what there is.
    std::vector<io::Record> run(const WorkUnit& unit, const std::function<bool()>& cancelled = {});

  private:
    struct Chip {
        std::size_t model;
        TrialId trial;
        crossbar::StationaryInputs inputs;
        std::vector<crossbar::ProgrammedWeight> weights;
    };

    struct Digital {
        std::size_t model;
        linalg::DigitalEngine engine;
    };

    /// Order in which points that share programmed weights follow each other.
    std::vector<std::size_t> order_by_chip(std::span<const PointId> points) const;
    /// Attention of one layer of an input, with the places of its rows in the input.
    struct Attention {
        linalg::Matrix values;
        std::vector<std::uint32_t> tokens;
    };

    /// Make `batch` the inputs that `forward` sees.
    void prepare(std::span<const std::uint32_t> batch, const LoadedModel& model);
    /// Pass the batch through `model`; what its logits say of every input goes to `answers_`.
    void forward(const LoadedModel& model, linalg::MatmulEngine& engine,
                 const model::AttentionObserver& observe);
    linalg::DigitalEngine& digital(std::size_t model);
    void run_reference(std::span<const std::uint32_t> batch, std::size_t model, io::Record* record);
    void run_point(std::span<const std::uint32_t> batch, PointId point, TrialId trial, io::Record& record);
    const std::vector<crossbar::ProgrammedWeight>& chip(PointId point, TrialId trial);

    const Experiment& experiment_;
    std::uint32_t seed_;
    std::size_t batch_images_;
    std::string path_;
    crossbar::ActivityTable* activity_;
    model::Activations activations_;
    std::vector<PreparedInput> prepared_;                      ///< [image of batch]
    std::vector<model::Input> inputs_;                         ///< of the batch, looking at prepared_
    std::vector<Answer> answers_;                              ///< [image of batch]
    std::vector<std::vector<Attention>> reference_attention_;  ///< [image of batch][layer]
    std::vector<linalg::SquareSums> sums_;                     ///< [image of batch * layers + layer]
    std::optional<Chip> chip_;
    std::optional<Digital> digital_;
};

}  // namespace crossweep::trial
