// The model that `crossweep cost` is asked about: a published shape by its name, or weights.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "crossweep/cost/memory_wall.hpp"
#include "crossweep/model/transformer.hpp"
#include "crossweep/trial/demand.hpp"

namespace crossweep::app {

class ModelToCost {
  public:
    /// Throws UsageError if there is neither a published model nor a file of that name.
    static ModelToCost find(const std::string& name_or_weights, const model::LoadOptions& load);
    explicit ModelToCost(cost::TransformerShape shape) : shape_(std::move(shape)) {}
    ModelToCost(const std::filesystem::path& weights, const model::LoadOptions& load);

    const cost::TransformerShape& shape() const { return shape_; }
    /// What is computed for an input of so many tokens: of weights everything, of a published model the
    /// blocks.
    trial::ModelShapes shapes(std::size_t tokens) const;
    bool has_weights() const { return network_ != nullptr; }

  private:
    cost::TransformerShape shape_;
    // Of weights alone. The network looks at the file.
    std::shared_ptr<const io::Safetensors> file_;
    std::shared_ptr<const model::Transformer> network_;
};

/// The lengths asked for, or the longest that the model takes.
std::vector<std::size_t> lengths_of(const CostOptions& options, const cost::TransformerShape& shape);

}  // namespace crossweep::app
