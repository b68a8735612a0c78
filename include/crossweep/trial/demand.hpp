// What one input asks of the hardware at a point: every product, write and function that the model computes,
// by its shape, and what crossbars and digital logic do for it. Nothing is multiplied.
#pragma once

#include <cstddef>
#include <vector>

#include "crossweep/cost/crossbar_cost.hpp"
#include "crossweep/crossbar/activity_counter.hpp"
#include "crossweep/model/transformer.hpp"
#include "crossweep/trial/trial_params.hpp"

namespace crossweep::trial {

/// Softmax, layer norm or GELU of `rows` rows.
struct FunctionShape {
    linalg::Role role;
    Eigen::Index rows = 0, width = 0;
};

/// A shape, and the layers that have it: one that has it twice stands there twice.
template <class Shape>
struct InLayers {
    Shape shape;
    std::vector<LayerId> layers;
};

/// Everything that a model computes for one input.
struct ModelShapes {
    std::vector<InLayers<crossbar::ProductShape>> products;
    std::vector<InLayers<crossbar::WrittenShape>> written;
    std::vector<InLayers<FunctionShape>> functions;
};

/// Shapes for a text of `tokens` tokens, at most as many as the model takes, or for an image, whose tokens
/// are the model's. Embedding, predictors and readout have the layer behind the last block. Passes zeros
/// through the model, so that its own code says what it computes: a small part of the time of an input.
ModelShapes shapes_of(const model::Transformer& network, std::size_t tokens);

/// What that asks of the hardware of `point`, one entry per operand of a layer.
std::vector<cost::OperandDemand> demands_of(const ModelShapes& shapes, const PointParams& point);

}  // namespace crossweep::trial
