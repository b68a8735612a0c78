// A small vision transformer with random weights and a few random images, as files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/trial/trial_params.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::trial {

constexpr std::uint32_t tiny_size = 8, tiny_classes = 10;  // pixels a side; classes

/// Names and shapes as timm's: patch 4, width 16, 2 heads, 2 blocks.
inline std::vector<std::pair<std::string, std::vector<std::size_t>>> tiny_tensors() {
    constexpr std::size_t width = 16, hidden = 32;
    std::vector<std::pair<std::string, std::vector<std::size_t>>> tensors{
        {"cls_token", {1, 1, width}},
        {"pos_embed", {1, 5, width}},
        {"patch_embed.proj.weight", {width, 1, 4, 4}},
        {"patch_embed.proj.bias", {width}},
        {"norm.weight", {width}},
        {"norm.bias", {width}},
        {"head.weight", {tiny_classes, width}},
        {"head.bias", {tiny_classes}}};
    for (const std::string block : {"blocks.0.", "blocks.1."}) {
        for (const std::string norm : {"norm1", "norm2"}) {
            tensors.push_back({block + norm + ".weight", {width}});
            tensors.push_back({block + norm + ".bias", {width}});
        }
        const auto linear = [&](const char* name, std::size_t out, std::size_t in) {
            tensors.push_back({block + name + ".weight", {out, in}});
            tensors.push_back({block + name + ".bias", {out}});
        };
        linear("attn.qkv", 3 * width, width);
        linear("attn.proj", width, width);
        linear("mlp.fc1", hidden, width);
        linear("mlp.fc2", width, hidden);
    }
    return tensors;
}

/// Random weights, all of one spread; `seed` decides them. `metadata` goes into the header as it is.
inline void write_tiny_model(const std::filesystem::path& path, std::uint32_t seed = 1,
                             nlohmann::json metadata = {{"architecture", R"({"num_heads": 2})"}}) {
    nlohmann::json header{{"__metadata__", std::move(metadata)}};
    std::string data;
    std::uint32_t number = 0;
    for (const auto& [name, shape] : tiny_tensors()) {
        std::vector<float> values(
            std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>()));
        linalg::fill_normal({seed, 0}, {0, 0, number++}, values);
        const std::size_t begin = data.size();
        for (const float value : values) data += io::bytes_of(0.3F * value);
        header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    io::write_file(path, io::bytes_of(std::uint64_t{text.size()}) + text + data);
}

/// IDX of bytes with the given extents.
inline void write_idx(const std::filesystem::path& path, const std::vector<std::uint32_t>& extents,
                      const std::string& elements) {
    std::string contents{'\0', '\0', '\x08', static_cast<char>(extents.size())};
    for (const std::uint32_t extent : extents) {
        for (const int shift : {24, 16, 8, 0}) contents += static_cast<char>(extent >> shift & 0xFF);
    }
    io::write_file(path, contents + elements);
}

/// `count` random images with labels 0, 1, … 9, 0, …
inline void write_tiny_images(const std::filesystem::path& folder, std::uint32_t count,
                              std::uint32_t size = tiny_size, std::uint32_t channels = 1) {
    std::string pixels, labels;
    for (std::uint32_t i = 0; i < count * size * size * channels; ++i) {
        pixels += static_cast<char>(philox_block({3, 0}, {0, 0, 0}, i)[0] & 0xFF);
    }
    for (std::uint32_t i = 0; i < count; ++i) labels += static_cast<char>(i % tiny_classes);
    std::vector<std::uint32_t> extents{count, size, size};
    if (channels > 1) extents.push_back(channels);
    write_idx(folder / "images.idx", extents, pixels);
    write_idx(folder / "labels.idx", {count}, labels);
}

/// Call `change` with the device of every operand.
template <class Change>
void for_every_device(PointParams& point, Change&& change) {
    for (crossbar::OperandParams& operand : point.operands) change(operand.device);
}

/// Embedding and classifier are digital, everything else stands on crossbars.
inline crossbar::OperandTable usual_operands(crossbar::Fidelity fidelity = crossbar::Fidelity::behavioural) {
    crossbar::OperandTable operands;
    operands.fill({fidelity, {}});
    for (const linalg::Role role : {linalg::Role::embedding, linalg::Role::head})
        operands[static_cast<std::size_t>(role)].fidelity = crossbar::Fidelity::digital;
    return operands;
}

/// A folder with the model and the images, and parameters that name them.
struct TinyStudy {
    io::TemporaryFolder folder;
    DataParams data;
    ModelParams model;

    explicit TinyStudy(std::uint32_t images = 60) {
        model.weights = folder / "weights.safetensors";
        data.images = folder / "images.idx";
        data.labels = folder / "labels.idx";
        data.shard_images = 25;
        data.mean = {0.5};
        data.std = {0.25};
        write_tiny_model(model.weights);
        write_tiny_images(folder.path(), images);
    }

    /// A point of this model with the field's usual noise.
    PointParams point() const { return {model, {}, {}, usual_operands()}; }

    /// Points that differ in written operands only, in the chip, in the law of read noise, and in fidelity.
    std::vector<PointParams> points() const {
        std::vector<PointParams> all(7, point());
        for_every_device(all[1], [](auto& device) { device.write_noise_factor = 5; });
        all[1].transform = {.alpha = 2, .beta = 0.25};
        for_every_device(all[2], [](auto& device) { device.read_noise = device::ReadNoiseMode::frozen; });
        for_every_device(all[3], [](auto& device) {
            device.on_off_ratio = 20;
            device.programming_noise_sigma = 0.1;
        });
        for_every_device(all[4], [](auto& device) { device.write_noise_factor = 0; });
        all[5].operands = usual_operands(crossbar::Fidelity::sliced);
        all[6].operands = usual_operands(crossbar::Fidelity::circuit);
        all[6].crossbar.adc_range = crossbar::AdcRange::full;
        return all;
    }
};

}  // namespace crossweep::trial
