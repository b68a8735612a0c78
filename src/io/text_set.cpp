#include "crossweep/io/text_set.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "crossweep/core/error.hpp"
#include "crossweep/io/hdf5_file.hpp"

namespace crossweep::io {
namespace {

/// HDF5 clips whole numbers of 64 bits to this one, and no vocabulary is that large.
constexpr std::int32_t no_number = std::numeric_limits<std::int32_t>::max();

/// A file of texts, whose errors name it.
class TextFile {
  public:
    explicit TextFile(const std::filesystem::path& path) : path_(path), file_(path, Hdf5File::Mode::read) {}

    TextSet read() const {
        TextSet set;
        read_tokens(set);
        read_task(set);
        check_mask(set);
        clear_where_nothing_is(set);
        check_tokens(set);
        if (set.is_language_model()) check_texts_of_language_model(set);
        return set;
    }

  private:
    [[noreturn]] void fail(const std::string& problem) const {
        throw DataError(fmt::format("{}: {}", path_.string(), problem));
    }

    void require_whole_numbers(const std::string& name, const std::vector<std::size_t>& shape,
                               std::string_view remedy) const {
        const std::string place = "/" + name;
        if (!file_.contains(place)) fail(fmt::format("has no data set \"{}\". {}", name, remedy));
        const ElementKind kind = file_.element_kind(place);
        const auto found = file_.shape(place);
        if (kind != ElementKind::integer && kind != ElementKind::unsigned_byte)
            fail(fmt::format("\"{}\" does not hold whole numbers. {}", name, remedy));
        if (found != shape) {
            fail(fmt::format("\"{}\" is [{}] where [{}] belongs to the tokens. {}", name,
                             fmt::join(found, ", "), fmt::join(shape, ", "), remedy));
        }
    }

    /// The tokens and what stands beside every one of them.
    void read_tokens(TextSet& set) const {
        const auto shape = file_.contains("/tokens") ? file_.shape("/tokens") : std::vector<std::size_t>(2);
        constexpr std::string_view remedy = "Store int32 [n, length]; analysis/prepare_text.py does.";
        if (shape.size() != 2) {
            fail(fmt::format("\"tokens\" has {} dimensions (texts and places are two). {}", shape.size(),
                             remedy));
        }
        require_whole_numbers("tokens", shape, remedy);
        set.count = shape[0];
        set.length = shape[1];
        if (set.count == 0 || set.length == 0)
            fail(fmt::format("holds no texts (its tokens are [{}, {}]). Check which file it is.", set.count,
                             set.length));
        set.tokens = file_.read<std::int32_t>("/tokens");
        constexpr std::string_view beside = "Store uint8 [n, length], as of the tokens.";
        require_whole_numbers("mask", shape, beside);
        set.mask = file_.read<std::uint8_t>("/mask");
        if (!file_.contains("/segments")) return;
        require_whole_numbers("segments", shape, beside);
        set.segments = file_.read<std::uint8_t>("/segments");
    }

    void read_task(TextSet& set) const {
        constexpr std::string_view remedy = "Prepare the texts with analysis/prepare_text.py.";
        if (!file_.has_attribute("/tokens", "task")) {
            fail(fmt::format(
                "\"tokens\" has no attribute \"task\" (whether the texts have classes or their tokens are "
                "to be told). {}",
                remedy));
        }
        const std::string task = file_.text_attribute("/tokens", "task");
        if (task == "classification") {
            read_labels(set);
        } else if (task == "language_model") {
            if (file_.contains("/labels")) {
                fail(
                    "has \"labels\" though its task is \"language_model\" (the texts are their own answers). "
                    "Remove "
                    "them, or make the task \"classification\".");
            }
            set.characters_per_token = positive_attribute("characters_per_token");
        } else {
            fail(fmt::format(
                "task \"{}\" of \"tokens\" is neither \"classification\" nor \"language_model\". {}", task,
                remedy));
        }
        if (!file_.has_attribute("/tokens", "vocabulary")) return;
        const double vocabulary = positive_attribute("vocabulary");
        if (vocabulary != std::floor(vocabulary) || vocabulary > no_number) {
            fail(fmt::format(
                "attribute \"vocabulary\" of \"tokens\" is {} (it counts the tokens that there are). {}",
                vocabulary, remedy));
        }
        set.vocabulary = static_cast<std::uint32_t>(vocabulary);
    }

    double positive_attribute(const std::string& name) const {
        constexpr std::string_view remedy = "Prepare the texts with analysis/prepare_text.py.";
        if (!file_.has_attribute("/tokens", name)) {
            fail(fmt::format("\"tokens\" has no attribute \"{}\", which a language model's results need. {}",
                             name, remedy));
        }
        const std::vector<double> numbers = file_.number_attribute("/tokens", name);
        if (numbers.size() != 1 || !std::isfinite(numbers[0]) || numbers[0] <= 0) {
            fail(fmt::format("attribute \"{}\" of \"tokens\" is [{}] (one positive number is needed). {}",
                             name, fmt::join(numbers, ", "), remedy));
        }
        return numbers[0];
    }

    void read_labels(TextSet& set) const {
        require_whole_numbers("labels", {set.count}, "Store one class for each text, int32 [n].");
        set.labels = file_.read<std::int32_t>("/labels");
        for (std::size_t text = 0; text < set.count; ++text) {
            if (set.labels[text] >= 0 && set.labels[text] != no_number) continue;
            fail(fmt::format("label of text {} is {} (classes count from 0, in 32 bits). Correct \"labels\".",
                             text,
                             set.labels[text] == no_number ? "too large" : std::to_string(set.labels[text])));
        }
    }

    void check_mask(const TextSet& set) const {
        for (std::size_t text = 0; text < set.count; ++text) {
            const auto places = std::span(set.mask).subspan(text * set.length, set.length);
            const auto other = std::ranges::find_if(places, [](std::uint8_t there) { return there > 1; });
            if (other != places.end()) {
                fail(
                    fmt::format("mask of text {} is {} at place {} (1 is a token, 0 none). Correct \"mask\".",
                                text, *other, other - places.begin()));
            }
            if (std::ranges::count(places, 1) == 0)
                fail(fmt::format("text {} is empty (its mask leaves no token). Remove it.", text));
        }
    }

    static void clear_where_nothing_is(TextSet& set) {
        for (std::size_t i = 0; i < set.mask.size(); ++i) {
            if (set.mask[i] != 0) continue;
            set.tokens[i] = 0;
            if (!set.segments.empty()) set.segments[i] = 0;
        }
        // Texts that say so and texts that say nothing are equal.
        if (std::ranges::count(set.segments, 0) == std::ssize(set.segments)) set.segments.clear();
    }

    void check_tokens(const TextSet& set) const {
        for (std::size_t i = 0; i < set.tokens.size(); ++i) {
            const std::int32_t token = set.tokens[i];
            const std::size_t text = i / set.length, place = i % set.length;
            if (token < 0 || token == no_number) {
                fail(fmt::format(
                    "token at place {} of text {} is {} (tokens count from 0, in 32 bits). Correct "
                    "\"tokens\".",
                    place, text, token < 0 ? std::to_string(token) : "too large"));
            }
            if (set.vocabulary > 0 && static_cast<std::uint32_t>(token) >= set.vocabulary) {
                fail(fmt::format(
                    "token {} at place {} of text {} is not in the vocabulary of {} that the texts were "
                    "prepared with. Prepare them again.",
                    token, place, text, set.vocabulary));
            }
        }
    }

    void check_texts_of_language_model(const TextSet& set) const {
        const auto tokens_of = [&](std::size_t text) {
            return std::span(set.mask).subspan(text * set.length, set.length);
        };
        const auto expected = std::ranges::count(tokens_of(0), 1);
        for (std::size_t text = 0; text < set.count; ++text) {
            const auto places = tokens_of(text);
            const auto tokens = std::ranges::count(places, 1);
            if (tokens < 2) {
                fail(fmt::format(
                    "text {} has a single token (a language model tells a token from those before it). "
                    "Remove the text.",
                    text));
            }
            if (tokens != expected) {
                fail(fmt::format(
                    "text {} has {} tokens where text 0 has {} (texts of a language model count alike). "
                    "Cut them to one length.",
                    text, tokens, expected));
            }
            if (std::ranges::find(places, 0) - places.begin() < tokens) {
                fail(fmt::format(
                    "text {} has a gap at place {} (a language model reads from the first place on). "
                    "Close it.",
                    text, std::ranges::find(places, 0) - places.begin()));
            }
        }
    }

    std::filesystem::path path_;
    Hdf5File file_;
};

}  // namespace

ContentHash TextSet::content_hash() const {
    std::vector<std::uint64_t> parts{count, length, is_language_model() ? 1U : 0U};
    const auto add = [&](std::span<const std::byte> bytes) {
        const ContentHash hash = hash_bytes(bytes);
        parts.insert(parts.end(), {hash.high, hash.low});
    };
    add(std::as_bytes(std::span(tokens)));
    add(std::as_bytes(std::span(mask)));
    add(std::as_bytes(std::span(segments)));
    add(std::as_bytes(std::span(labels)));
    return hash_bytes(std::as_bytes(std::span(parts)));
}

TextSet read_texts(const std::filesystem::path& path) {
    return TextFile(path).read();
}

}  // namespace crossweep::io
