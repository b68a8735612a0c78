#include "synthetic_model.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::app {
namespace {

using Shape = std::vector<std::size_t>;

std::vector<std::pair<std::string, Shape>> deit_small_tensors() {
    constexpr std::size_t width = 384, hidden = 1536, tokens = 197, classes = 1000, patch = 16, depth = 12;
    std::vector<std::pair<std::string, Shape>> tensors{{"cls_token", {1, 1, width}},
                                                       {"pos_embed", {1, tokens, width}},
                                                       {"patch_embed.proj.weight", {width, 3, patch, patch}},
                                                       {"patch_embed.proj.bias", {width}},
                                                       {"norm.weight", {width}},
                                                       {"norm.bias", {width}},
                                                       {"head.weight", {classes, width}},
                                                       {"head.bias", {classes}}};
    const std::vector<std::pair<const char*, Shape>> of_block{{"norm1.weight", {width}},
                                                              {"norm1.bias", {width}},
                                                              {"attn.qkv.weight", {3 * width, width}},
                                                              {"attn.qkv.bias", {3 * width}},
                                                              {"attn.proj.weight", {width, width}},
                                                              {"attn.proj.bias", {width}},
                                                              {"norm2.weight", {width}},
                                                              {"norm2.bias", {width}},
                                                              {"mlp.fc1.weight", {hidden, width}},
                                                              {"mlp.fc1.bias", {hidden}},
                                                              {"mlp.fc2.weight", {width, hidden}},
                                                              {"mlp.fc2.bias", {width}}};
    for (std::size_t block = 0; block < depth; ++block) {
        for (const auto& [name, shape] : of_block)
            tensors.emplace_back(fmt::format("blocks.{}.{}", block, name), shape);
    }
    return tensors;
}

}  // namespace

SyntheticModel make_deit_small() {
    const auto tensors = deit_small_tensors();
    nlohmann::json header;
    std::size_t offset = 0;
    const auto elements = [](const Shape& shape) {
        return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
    };
    for (const auto& [name, shape] : tensors) {
        const std::size_t bytes = 4 * elements(shape);
        header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
        offset += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');

    const auto path =
        std::filesystem::temp_directory_path() / fmt::format("crossweep-bench-{}.safetensors", getpid());
    {
        std::ofstream out(path, std::ios::binary);
        const std::uint64_t length = text.size();
        out.write(reinterpret_cast<const char*>(&length), sizeof length);
        out << text;
        std::vector<float> values;
        for (std::uint32_t i = 0; i < tensors.size(); ++i) {
            const Shape& shape = tensors[i].second;
            values.resize(elements(shape));
            linalg::fill_normal({1, 0}, {0, 0, i}, values);
            const float scale =
                shape.size() == 1 ? 0.02F : 1.0F / std::sqrt(static_cast<float>(elements(shape) / shape[0]));
            for (float& value : values) value *= scale;
            out.write(reinterpret_cast<const char*>(values.data()),
                      static_cast<std::streamsize>(4 * values.size()));
        }
    }
    SyntheticModel model;
    model.file = std::make_unique<io::Safetensors>(path);
    std::filesystem::remove(path);  // the mapping keeps the contents
    model.network = std::make_unique<model::VisionTransformer>(*model.file, 6);
    model.image.resize(3 * 224 * 224);
    linalg::fill_normal({1, 0}, {1, 0, 0}, model.image);
    return model;
}

}  // namespace crossweep::app
