// Products of a transformer on crossbars: every operand with its own fidelity and device. Weights are
// stationary; K and V are written for every image and layer.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "crossweep/crossbar/activity_counter.hpp"
#include "crossweep/crossbar/circuit_matrix.hpp"
#include "crossweep/crossbar/function_unit.hpp"
#include "crossweep/crossbar/input_converter.hpp"
#include "crossweep/crossbar/large_small.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/crossbar/programmed_weights.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::crossbar {

struct EngineParams {
    CrossbarParams crossbar;
    transform::TransformParams transform;
    OperandTable operands;
    const AdcRanges* adc_ranges = nullptr;  ///< for AdcRange::calibrated
    SumHistograms* histograms = nullptr;    ///< where a calibration counts the sums of circuit operands
    /// Where the engine counts what its products and functions do; of what a level does not simulate, what
    /// the hardware that it stands for would do. Null: nowhere, since studies take their costs from shapes.
    ActivityTable* activity = nullptr;
};

class CrossbarEngine final : public linalg::MatmulEngine {
  public:
    /// `weights`, `programmed` (of the same chip, see program_weights) and what `params` points to must
    /// outlive the engine.
    CrossbarEngine(std::span<const linalg::StationaryWeight> weights,
                   std::span<const ProgrammedWeight> programmed, const EngineParams& params, StreamKey key);

    using MatmulEngine::begin_image;
    void begin_image(ImageId image, std::size_t first_token) override;
    void multiply(std::size_t weight, const linalg::ConstMatrixView& x, linalg::MatrixView y) override;
    void write(LayerId layer, std::size_t heads, const linalg::ConstMatrixView& keys,
               const linalg::ConstMatrixView& values) override;
    void read_keys(std::size_t head, const linalg::ConstMatrixView& queries,
                   linalg::MatrixView scores) override;
    void read_values(std::size_t head, const linalg::ConstMatrixView& probabilities,
                     linalg::MatrixView context) override;
    void softmax(LayerId layer, linalg::MatrixView x, float scale,
                 std::optional<Eigen::Index> first) override;
    void layer_norm(LayerId layer, const linalg::ConstMatrixView& x, const linalg::Norm& norm,
                    linalg::MatrixView y) override;
    void add_bias_gelu(LayerId layer, linalg::MatrixView x, std::span<const float> bias,
                       linalg::Gelu form) override;

  private:
    /// K or V of the present image and layer.
    struct Written {
        explicit Written(linalg::Role of) : role(of) {}
        linalg::Role role;
        LayerId layer = {};
        linalg::ConstMatrixView exact{nullptr, 0, 0, Eigen::OuterStride<>(0)};
        TokenScale tokens;  ///< of V with ScaleBlock::token
        MappedOperand mapped;
        LinearMatrix linear;
        CircuitMatrix circuit;
        const AdcBank* adc = nullptr;
    };
    /// How the operand is simulated.
    const OperandParams& operand(linalg::Role role) const {
        return simulated_[static_cast<std::size_t>(role)].operand;
    }
    const CrossbarParams& crossbar(linalg::Role role) const {
        return simulated_[static_cast<std::size_t>(role)].crossbar;
    }
    /// The function unit, if it computes `role`.
    FunctionUnit* function_unit(linalg::Role role);
    /// First row of the draws of a call of `role` for the present image and layer: calls stand above the
    /// tokens.
    std::uint32_t row_of_call(LayerId layer, linalg::Role role, Eigen::Index rows);
    Cells& cells(linalg::Role role) { return *cells_[static_cast<std::size_t>(role)]; }
    bool is_digital(linalg::Role role) const { return operand(role).fidelity == Fidelity::digital; }

    AdcBank make_adc(linalg::Role role, LayerId layer, Eigen::Index row_tiles, Eigen::Index outputs) const;
    /// Converters stay where they are while operands come and go: they are made once per layer and shape.
    const AdcBank& adc_of(const Written& written);
    void store_written(std::size_t heads, const linalg::ConstMatrixView& values, Written& written);
    void store_on_cells(Eigen::Index head_width, const linalg::ConstMatrixView& values, Written& written);
    /// Read the region of one head of K or V with the inputs converted last.
    void read_written(const Written& written, NoiseSite site, std::size_t head, const Region& region,
                      linalg::MatrixView y);
    bool counts() const { return params_.activity != nullptr; }
    Activity& activity_of(LayerId layer, linalg::Role role) { return (*params_.activity)[{layer, role}]; }
    /// Count a product, but for what a circuit has counted itself.
    void count_product(LayerId layer, const ProductShape& shape);
    void count_function(LayerId layer, linalg::Role role, const linalg::ConstMatrixView& x);
    void count_writing(const Written& written, Eigen::Index head_width, std::uint64_t rewrites);
    /// Count a read of one head of K or V, but for what a circuit has counted itself.
    void count_reading(const Written& written, std::size_t head, Eigen::Index vectors,
                       Eigen::Index head_width);
    void multiply_linear(linalg::Role role, const LinearMatrix& matrix, std::size_t head,
                         const ReadDraws& draws, linalg::MatrixView y);
    void multiply_circuit(linalg::Role role, const CircuitMatrix& matrix, const AdcBank& adc,
                          const Region& region, const ReadDraws& draws, linalg::MatrixView y);
    ReadDraws draws(NoiseSite site, LayerId layer, linalg::Role role, std::uint32_t first_row = 0) const;

    ActivityCounter counter_;

    std::span<const linalg::StationaryWeight> weights_;
    std::span<const ProgrammedWeight> programmed_;
    EngineParams params_;
    std::vector<SimulatedOperand> simulated_;                            ///< [role]
    std::array<std::optional<FunctionUnit>, linalg::role_count> units_;  ///< of functions at large_small
    StreamKey key_;
    std::array<std::optional<Cells>, linalg::role_count> cells_;  ///< of operands that are not digital
    std::vector<std::vector<std::optional<AdcBank>>> adc_;        ///< [weight][part], of circuit operands
    std::map<std::tuple<linalg::Role, LayerId, Eigen::Index, Eigen::Index>, AdcBank> written_adc_;

    std::uint32_t image_draw_ = 0;                         ///< image index + 1: 0 is for the chip
    std::uint32_t first_token_ = 0;                        ///< of the rows that are multiplied
    std::array<std::size_t, linalg::role_count> calls_{};  ///< of functions for this image and layer
    LayerId calls_layer_ = {};
    linalg::Scratch scaled_;  ///< probabilities times the scales of their tokens
    Written keys_{linalg::Role::written_keys}, values_{linalg::Role::written_values};
    InputConverter inputs_;
    CircuitMultiplier circuit_;
    LinearMultiplier linear_;
};

/// Whether any draw belongs to the chip rather than to an image or a read.
bool draws_per_chip(const OperandTable& operands, const CrossbarParams& crossbar);

}  // namespace crossweep::crossbar
