// The inputs of a study, images or texts, and what a model is given of them.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/io/image_set.hpp"
#include "crossweep/io/text_set.hpp"
#include "crossweep/model/transformer.hpp"
#include "crossweep/trial/trial_params.hpp"

namespace crossweep::trial {

/// One input as a model takes it, in memory that is used again.
struct PreparedInput {
    model::Input input;
    std::vector<std::int32_t>
        targets;  ///< right answers, one per row of logits; of a text's tokens, the next

    std::vector<float> pixels;
    std::vector<model::TextToken> tokens;
};

class InputSet {
  public:
    InputSet(io::ImageSet images) : files_(std::move(images)) {}
    InputSet(io::TextSet texts) : files_(std::move(texts)) {}

    std::size_t count() const;
    ContentHash content_hash() const;
    /// The class of an input; of a language model's text, its last token.
    std::int32_t label(std::uint32_t index) const;
    /// Null for inputs of the other kind.
    const io::ImageSet* images() const { return std::get_if<io::ImageSet>(&files_); }
    const io::TextSet* texts() const { return std::get_if<io::TextSet>(&files_); }

    /// Input `index` for a model that wants images normalised so.
    void prepare(std::uint32_t index, const model::Normalisation& normalisation,
                 PreparedInput& prepared) const;

  private:
    std::variant<io::ImageSet, io::TextSet> files_;
};

/// Read the inputs that `data` names. Throws DataError: files missing or broken.
InputSet read_inputs(const DataParams& data);

/// The normalisation in force: the study's, else the data set's, else the model's; empty for texts. Throws
/// DataError if nothing says one, or for other channels.
model::Normalisation choose_normalisation(const DataParams& data, const InputSet& inputs,
                                          const model::Transformer& network,
                                          const std::filesystem::path& weights);

/// Throws DataError if the model cannot take these inputs, or knows no answer to them.
void expect_fit(const model::Architecture& network, const InputSet& inputs, const DataParams& data,
                const std::filesystem::path& weights);

}  // namespace crossweep::trial
