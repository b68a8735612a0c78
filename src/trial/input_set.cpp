#include "crossweep/trial/input_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crossweep/core/error.hpp"

namespace crossweep::trial {
namespace {

/// [channels, height, width], normalised.
void normalise(const io::ImageSet& images, std::uint32_t index, const model::Normalisation& normalisation,
               std::vector<float>& pixels) {
    const auto bytes = images.image(index);
    const std::size_t area = images.height * images.width, channels = images.channels;
    pixels.resize(bytes.size());
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const double scale = 1 / (255 * normalisation.std[channel]);
        const double shift = normalisation.mean[channel] / normalisation.std[channel];
        for (std::size_t i = 0; i < area; ++i) {
            pixels[channel * area + i] = static_cast<float>(bytes[i * channels + channel] * scale - shift);
        }
    }
}

/// Tokens that the mask leaves keep their places: dropped, a masked token is seen by none, as its attention
/// would be 0.
void take_tokens(const io::TextSet& texts, std::uint32_t index, std::vector<model::TextToken>& tokens) {
    tokens.clear();
    for (std::size_t place = 0; place < texts.length; ++place) {
        const std::size_t at = index * texts.length + place;
        if (texts.mask[at] == 0) continue;
        tokens.push_back({static_cast<std::uint32_t>(texts.tokens[at]), static_cast<std::uint32_t>(place),
                          texts.segments.empty() ? 0U : texts.segments[at]});
    }
}

const std::filesystem::path& file_of(const DataParams& data) {
    return data.texts.empty() ? data.images : data.texts;
}

void expect_labels_fit(std::span<const std::int32_t> labels, const std::filesystem::path& file,
                       const char* what, const model::Architecture& network,
                       const std::filesystem::path& weights) {
    const auto largest = std::max_element(labels.begin(), labels.end());
    if (largest == labels.end() || static_cast<std::size_t>(*largest) < network.classes) return;
    throw DataError(fmt::format(
        "{}: label {} of {} {} is beyond the {} classes of {}. Choose a model trained "
        "on these classes.",
        file.string(), *largest, what, largest - labels.begin(), network.classes, weights.string()));
}

void expect_images_fit(const model::Architecture& network, const io::ImageSet& images,
                       const std::filesystem::path& file, const std::filesystem::path& weights) {
    if (images.height != network.image_size || images.width != network.image_size) {
        throw DataError(
            fmt::format("{}: images of {}x{} pixels do not fit {}, which takes {}x{}. Prepare them "
                        "with analysis/prepare_images.py.",
                        file.string(), images.height, images.width, weights.string(), network.image_size,
                        network.image_size));
    }
    if (images.channels != network.channels) {
        throw DataError(
            fmt::format("{}: images of {} channels do not fit {}, which takes {}. Choose another "
                        "data set or model.",
                        file.string(), images.channels, weights.string(), network.channels));
    }
    expect_labels_fit(images.labels, file, "image", network, weights);
}

void expect_texts_fit(const model::Architecture& network, const io::TextSet& texts,
                      const std::filesystem::path& file, const std::filesystem::path& weights) {
    if (texts.is_language_model() != (network.task == model::Task::language_model)) {
        throw DataError(
            fmt::format("{}: texts {} labels are no task for {}, which {}. Choose another data set or model.",
                        file.string(), texts.is_language_model() ? "without" : "with", weights.string(),
                        texts.is_language_model() ? "tells classes" : "tells the next token"));
    }
    if (texts.vocabulary > 0 && texts.vocabulary != network.vocabulary) {
        throw DataError(
            fmt::format("{}: texts of a vocabulary of {} tokens do not fit {}, which knows {}. "
                        "Prepare them with the vocabulary of the model (analysis/prepare_text.py).",
                        file.string(), texts.vocabulary, weights.string(), network.vocabulary));
    }
    const auto expect = [&](std::size_t at, std::size_t value, std::size_t most, const char* what) {
        if (value < most) return;
        throw DataError(
            fmt::format("{}: text {} has {} {}, and {} knows {}. Prepare the texts for this model "
                        "(analysis/prepare_text.py).",
                        file.string(), at / texts.length, what, value, weights.string(), most));
    };
    for (std::size_t i = 0; i < texts.tokens.size(); ++i) {
        if (texts.mask[i] == 0) continue;
        expect(i, static_cast<std::size_t>(texts.tokens[i]), network.vocabulary, "token number");
        expect(i, i % texts.length, network.tokens, "a token at place");
        if (!texts.segments.empty()) expect(i, texts.segments[i], network.segments, "a token of segment");
    }
    for (std::size_t text = 0; !texts.is_language_model() && text < texts.count; ++text) {
        if (texts.mask[text * texts.length] != 0) continue;
        throw DataError(
            fmt::format("{}: the first token of text {} is masked, and {} reads its class from it. "
                        "Pad texts at their end.",
                        file.string(), text, weights.string()));
    }
    expect_labels_fit(texts.labels, file, "text", network, weights);
}

}  // namespace

std::size_t InputSet::count() const {
    return std::visit([](const auto& set) { return set.count; }, files_);
}

ContentHash InputSet::content_hash() const {
    return std::visit([](const auto& set) { return set.content_hash(); }, files_);
}

std::int32_t InputSet::label(std::uint32_t index) const {
    if (images() != nullptr) return images()->labels[index];
    if (!texts()->is_language_model()) return texts()->labels[index];
    std::vector<model::TextToken> tokens;
    take_tokens(*texts(), index, tokens);
    return static_cast<std::int32_t>(tokens.back().id);
}

void InputSet::prepare(std::uint32_t index, const model::Normalisation& normalisation,
                       PreparedInput& prepared) const {
    prepared.targets.clear();
    if (images() != nullptr) {
        normalise(*images(), index, normalisation, prepared.pixels);
    } else {
        take_tokens(*texts(), index, prepared.tokens);
    }
    if (texts() != nullptr && texts()->is_language_model()) {
        for (std::size_t i = 1; i < prepared.tokens.size(); ++i)
            prepared.targets.push_back(static_cast<std::int32_t>(prepared.tokens[i].id));
    } else {
        prepared.targets.push_back(label(index));
    }
    prepared.input = {ImageId(index), prepared.pixels, prepared.tokens};
}

InputSet read_inputs(const DataParams& data) {
    if (!data.texts.empty()) return io::read_texts(data.texts);
    return io::read_images(data.images, data.labels);
}

model::Normalisation choose_normalisation(const DataParams& data, const InputSet& inputs,
                                          const model::Transformer& network,
                                          const std::filesystem::path& weights) {
    const io::ImageSet* images = inputs.images();
    if (images == nullptr) return {};
    model::Normalisation chosen;
    if (!data.mean.empty()) {
        chosen = {data.mean, data.std};
    } else if (!images->mean.empty()) {
        chosen = {images->mean, images->std};
    } else if (network.normalisation()) {
        chosen = *network.normalisation();
    } else {
        throw DataError(
            fmt::format("{}: neither the data set nor {} says how to normalise the images. Set "
                        "data.mean and data.std, one number per channel.",
                        data.images.string(), weights.string()));
    }
    if (chosen.mean.size() != images->channels || chosen.std.size() != images->channels) {
        throw DataError(
            fmt::format("{}: a normalisation of {} means and {} standard deviations does not fit "
                        "images of {} channels. Set data.mean and data.std.",
                        data.images.string(), chosen.mean.size(), chosen.std.size(), images->channels));
    }
    return chosen;
}

void expect_fit(const model::Architecture& network, const InputSet& inputs, const DataParams& data,
                const std::filesystem::path& weights) {
    if (network.takes_images() != (inputs.images() != nullptr)) {
        throw DataError(fmt::format("{}: {} takes {}, not {}. Set data.{} instead.", file_of(data).string(),
                                    weights.string(), network.takes_images() ? "images" : "texts",
                                    network.takes_images() ? "texts" : "images",
                                    network.takes_images() ? "images" : "texts"));
    }
    if (inputs.images() != nullptr) {
        expect_images_fit(network, *inputs.images(), file_of(data), weights);
    } else {
        expect_texts_fit(network, *inputs.texts(), file_of(data), weights);
    }
}

}  // namespace crossweep::trial
