// Texts as numbers of tokens, from HDF5 as analysis/prepare_text.py writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "crossweep/core/content_hash.hpp"

namespace crossweep::io {

/// Texts [count, length], of which every text uses the tokens that its mask leaves.
struct TextSet {
    std::size_t count = 0, length = 0;
    std::vector<std::int32_t> tokens;    ///< [text, place]; 0 where there is none
    std::vector<std::uint8_t> mask;      ///< [text, place] 1: a token, 0: not there
    std::vector<std::uint8_t> segments;  ///< [text, place]; empty: all 0
    std::vector<std::int32_t> labels;    ///< [text]; empty: every token is to be told from those before it
    double characters_per_token = 1;     ///< of a language model, on average over the tokens to be told
    std::uint32_t vocabulary = 0;        ///< that the texts were prepared with; 0: not said

    bool is_language_model() const { return labels.empty(); }
    /// Hash of everything that a model sees, of all texts, and of what its answers are compared with.
    ContentHash content_hash() const;
};

/// Read HDF5 with `tokens` int32 [n, length], `mask` uint8 [n, length], and optionally `segments` uint8
/// [n, length] and `labels` int32 [n]; attributes of `tokens`: `task` ("classification" or "language_model"),
/// `vocabulary` (optional), `characters_per_token` (of a language model). What `tokens` and `segments` hold
/// where the mask leaves nothing is read as 0. Throws DataError naming the file, the text and what is wrong:
/// shapes and types, empty texts, tokens that are negative or not in the vocabulary, labels missing or too
/// many, texts of a language model that differ in length (they count alike), have gaps or fewer than two
/// tokens.
TextSet read_texts(const std::filesystem::path& path);

}  // namespace crossweep::io
