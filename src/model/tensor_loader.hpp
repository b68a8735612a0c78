// Handing out the tensors of a file while collecting everything that is wrong with them.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "crossweep/model/transformer.hpp"

namespace crossweep::model {

using Shape = std::vector<std::int64_t>;

class TensorLoader {
  public:
    /// `file` must outlive the loader.
    explicit TensorLoader(const io::Safetensors& file) : file_(file) {}

    bool has(const std::string& name) const { return file_.tensors().contains(name); }
    /// Whether any name starts with `prefix`.
    bool has_any(std::string_view prefix) const;
    /// Number of layers in names "PREFIX.N.…": one more than the largest N.
    std::size_t count_layers(const std::string& prefix) const;
    /// Extent of one dimension of a tensor that decides the architecture; 0, "not known", if it is not there.
    std::size_t extent(const std::string& name, std::size_t dimension, std::size_t rank);
    /// The elements of `name`; extents of 0 in `shape` are not known and fit anything.
    std::span<const float> floats(const std::string& name, const Shape& shape);
    /// The same for a tensor that a model of the family need not have: empty without it.
    std::span<const float> floats_if_any(const std::string& name, const Shape& shape) {
        return has(name) ? floats(name, shape) : std::span<const float>();
    }
    /// A norm's tensors PREFIX.weight and PREFIX.bias, or, as early BERTs have them, PREFIX.gamma and .beta.
    LayerNorm layer_norm(const std::string& prefix, std::size_t width);

    /// A tensor that repeats another: no parameters of its own.
    void count_once(const std::string& name) { handed_out_.erase(name); }
    /// A tensor that the family has but that no product uses.
    void ignore(const std::string& name) { asked_for_.insert(name); }
    void ignore_if(const std::function<bool(const std::string& name)>& unused);
    /// Tensors that nobody asked for belong to another architecture, which would run wrongly without them.
    void expect_no_others(const std::string& family);

    /// The file's metadata of this key, a JSON object; empty if there is none.
    nlohmann::json metadata(const std::string& key);
    /// Number `key` of the "architecture" metadata, which is positive, or `otherwise`.
    double described(const std::string& key, double otherwise);
    /// Heads: as asked for, else as the metadata says, else of 64 channels each.
    std::size_t heads(std::size_t asked_for, std::size_t width);

    /// `sentence` about the file is wrong with it; told once, however often it is found.
    void problem(const std::string& sentence);
    /// The first hundred problems and what to do, a line each; empty if there are none.
    std::string problems(const std::string& remedy) const;
    /// Elements of all tensors handed out.
    std::uint64_t parameters() const;

  private:
    const io::Safetensors& file_;
    std::set<std::string> asked_for_, handed_out_;
    std::vector<std::string> problems_;
    std::set<std::string> refused_;  ///< tensors without the extents they were asked for
};

/// Builds the list of stationary weights.
class WeightList {
  public:
    /// `loader` must outlive the list.
    WeightList(TensorLoader& loader, TransformerParts& parts) : loader_(loader), parts_(parts) {}

    /// What a stationary weight is for: its place, and the rows of every product with it (0: they differ).
    struct Place {
        std::size_t layer;
        linalg::Role role;
        std::size_t rows;
    };
    /// Number of the weight from tensor `name`, [outputs, inputs] or of a convolution; `parts` matrices below
    /// each other.
    std::size_t add(const Place& place, const std::string& name, const Shape& shape, std::size_t parts = 1);
    /// The same from values [outputs, inputs], which are kept.
    std::size_t add_made(const Place& place, std::vector<float> values, std::size_t inputs,
                         std::size_t parts = 1);
    /// The same from a tensor stored as [inputs, outputs].
    std::size_t add_transposed(const Place& place, const std::string& name, std::size_t inputs,
                               std::size_t outputs, std::size_t parts = 1);

  private:
    std::size_t add_values(const Place& place, std::span<const float> values, std::size_t inputs,
                           std::size_t parts);

    TensorLoader& loader_;
    TransformerParts& parts_;
};

/// The values of several tensors, one after the other.
std::vector<float> joined(std::span<const std::span<const float>> tensors);

constexpr std::int64_t extent_of(std::size_t extent) {
    return static_cast<std::int64_t>(extent);
}

}  // namespace crossweep::model
