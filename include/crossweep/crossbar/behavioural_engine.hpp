// Products on crossbars whose cells are single composite conductances: mapping, quantisation and noise, ideal
// converters. Weights are stationary; K and V are written for every image and layer.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "crossweep/crossbar/mapping.hpp"
#include "crossweep/crossbar/programmed_weights.hpp"
#include "crossweep/device/noise.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// What is done to the conductances (siemens) of K and V between mapping and writing.
using ConductanceTransform = std::function<void(std::span<float> conductance_S)>;

class BehaviouralEngine final : public linalg::MatmulEngine {
  public:
    /// `weights` and `programmed` (of the same chip, see program_weights) must outlive the engine.
    BehaviouralEngine(std::span<const linalg::StationaryWeight> weights,
                      std::span<const ProgrammedWeight> programmed, const device::DeviceParams& device,
                      const CrossbarParams& crossbar, ConductanceTransform transform, StreamKey key);

    void begin_image(ImageId image) override;
    void multiply(std::size_t weight, const linalg::ConstMatrixView& x, linalg::MatrixView y) override;
    void write(LayerId layer, std::size_t heads, const linalg::ConstMatrixView& keys,
               const linalg::ConstMatrixView& values) override;
    void read_keys(std::size_t head, const linalg::ConstMatrixView& queries,
                   linalg::MatrixView scores) override;
    void read_values(std::size_t head, const linalg::ConstMatrixView& probabilities,
                     linalg::MatrixView context) override;

  private:
    /// K or V as the cells hold it, in weight units.
    struct Written {
        linalg::Matrix mean, squared_amplitude;
    };

    void write_operand(linalg::Role role, const linalg::ConstMatrixView& operand, Written& written);
    linalg::ConstMatrixView converted_inputs(const linalg::ConstMatrixView& x);
    linalg::ConstMatrixView squared_inputs(const linalg::ConstMatrixView& x);
    void add_noise(NoiseSite site, LayerId layer, linalg::Role role, std::uint32_t first_row,
                   const linalg::ConstMatrixView& squares, linalg::MatrixView output);

    std::span<const linalg::StationaryWeight> weights_;
    std::span<const ProgrammedWeight> programmed_;
    CrossbarParams crossbar_;
    ConductanceTransform transform_;
    StreamKey key_;

    ConductanceWindow window_;
    device::WriteNoise write_noise_;
    device::ReadNoise read_noise_;
    bool per_read_;  ///< read noise is drawn at every read
    bool kept_;      ///< read noise is drawn when K and V are written

    std::uint32_t image_draw_ = 0;  ///< image index + 1: 0 is for the chip
    LayerId layer_;
    Written keys_, values_;
    ScaleBlocks blocks_;
    BandScale band_;
    std::vector<float> conductance_, normal_;
    linalg::Scratch inputs_, squared_inputs_, squares_;
};

}  // namespace crossweep::crossbar
