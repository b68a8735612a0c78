// The seam between models and physics: a model names the operand, an engine decides how it is multiplied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "crossweep/core/strong_id.hpp"
#include "crossweep/linalg/elementwise.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// The part that a matrix plays in a transformer. The numbers are part of every random draw: append, never
/// renumber.
enum class Role : std::uint8_t {
    query = 0,
    key = 1,
    value = 2,
    projection = 3,
    mlp_in = 4,
    mlp_out = 5,
    embedding = 6,
    head = 7,            ///< the classifier
    written_keys = 8,    ///< K, written for every input
    written_values = 9,  ///< V, written for every input
    selector = 10,       ///< the predictor that decides which tokens are kept
    softmax = 11,        ///< this and the following are no matrices but functions of rows
    layer_norm = 12,
    gelu = 13,
};
inline constexpr std::size_t role_count = 14;

constexpr bool is_written(Role role) {
    return role == Role::written_keys || role == Role::written_values;
}

/// Whether it is an operation that is no product with an operand.
constexpr bool is_function(Role role) {
    return role == Role::softmax || role == Role::layer_norm || role == Role::gelu;
}

/// A weight matrix that stays where it is for every input.
struct StationaryWeight {
    LayerId layer;
    Role first_role;         ///< role of the first part; further parts follow in the order of Role
    std::size_t parts;       ///< matrices stacked along the outputs, each mapped on its own (Q, K, V: 3)
    std::size_t head_width;  ///< E, for scales per head
    ConstMatrixView matrix;  ///< [outputs of all parts, inputs]
    Eigen::Index rows = 0;   ///< of every x that it multiplies, for packed copies; 0 if they differ
};

/// Scale, shift and epsilon of a layer norm.
struct Norm {
    std::span<const float> weight, bias;  ///< [width]
    float epsilon;
};

/// Role of part `part` of a stationary weight, and the part itself [outputs, inputs].
Role role_of_part(const StationaryWeight& weight, std::size_t part);
ConstMatrixView part_of(const StationaryWeight& weight, std::size_t part);

/// Multiplies for one image at a time. Implementations: DigitalEngine here, CrossbarEngine in crossbar.
///
/// T tokens, D width, H heads, E = D / H. K and V are written once for an image and layer, then read by every
/// head. A decoder asks for its tokens a few at a time: S of them, with the T - S before them written
/// earlier.
class MatmulEngine {
  public:
    virtual ~MatmulEngine() = default;

    /// The image (or text) whose products follow, and the place among its tokens of the first row that they
    /// have; both name the draws of noise that is not the chip's.
    virtual void begin_image(ImageId image, std::size_t first_token) = 0;
    void begin_image(ImageId image) { begin_image(image, 0); }

    /// y [T, outputs] = x [T, inputs] times the transposed stationary weight number `weight`. The products of
    /// several parts lie below each other: y [parts T, outputs of one part].
    virtual void multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) = 0;

    /// Write K and V, each [T, D], of one layer. They must outlive the reads, which may look at them again.
    /// Rows that were written for this image and layer before keep the noise that they got then.
    virtual void write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
                       const ConstMatrixView& values) = 0;

    /// scores [S, T] = queries [S, E] times the transposed keys of `head`, unscaled.
    virtual void read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) = 0;

    /// context [S, E] = probabilities [S, T] times the values of `head`.
    virtual void read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) = 0;

    /// x = softmax(scale x), row by row; with `first` row i sees columns 0 ... first + i alone, the others
    /// become 0. This and the functions that follow are computed in fp32 unless an engine does otherwise.
    virtual void softmax(LayerId layer, MatrixView x, float scale, std::optional<Eigen::Index> first);

    /// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row. y is not x.
    virtual void layer_norm(LayerId layer, const ConstMatrixView& x, const Norm& norm, MatrixView y);

    /// x = gelu(x + bias); bias [columns].
    virtual void add_bias_gelu(LayerId layer, MatrixView x, std::span<const float> bias, Gelu form);
};

/// Exact fp32 products: the reference that everything noisy is compared with. Parts of a stacked weight are
/// multiplied one by one, as other engines do: the last bits of a product may depend on its shape.
class DigitalEngine final : public MatmulEngine {
  public:
    /// Packs the weights, a second model in memory (88 MB for a DeiT-S), unless products have one row: keep
    /// the engine from batch to batch.
    explicit DigitalEngine(std::span<const StationaryWeight> weights);

    using MatmulEngine::begin_image;
    void begin_image(ImageId, std::size_t) override {}
    void multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) override;
    void write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
               const ConstMatrixView& values) override;
    void read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) override;
    void read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) override;

  private:
    std::span<const StationaryWeight> weights_;
    std::vector<std::vector<PackedMatrix>> packed_;  ///< [weight][part]
    ConstMatrixView keys_{nullptr, 0, 0, Eigen::OuterStride<>(0)};
    ConstMatrixView values_{nullptr, 0, 0, Eigen::OuterStride<>(0)};
};

}  // namespace crossweep::linalg
