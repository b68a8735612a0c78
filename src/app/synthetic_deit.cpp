#include "synthetic_deit.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::app {
namespace {

using Shape = std::vector<std::size_t>;

std::vector<std::pair<std::string, Shape>> deit_small_tensors(std::size_t depth) {
    constexpr std::size_t width = 384, hidden = 1536, tokens = 197, classes = 1000, patch = 16;
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

std::size_t elements(const Shape& shape) {
    return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

void write_weights(const std::filesystem::path& path, std::size_t depth) {
    const auto tensors = deit_small_tensors(depth);
    nlohmann::json header;
    std::size_t offset = 0;
    for (const auto& [name, shape] : tensors) {
        const std::size_t bytes = 4 * elements(shape);
        header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
        offset += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out << text;
    std::vector<float> values;
    for (std::uint32_t i = 0; i < tensors.size(); ++i) {
        const Shape& shape = tensors[i].second;
        values.resize(elements(shape));
        linalg::fill_normal({1, 0}, {0, 0, i}, values);
        const std::size_t inputs = elements(shape) / shape[0];
        const float scale = shape.size() == 1 ? 0.02F : 1.0F / std::sqrt(static_cast<float>(inputs));
        for (float& value : values) value *= scale;
        out.write(reinterpret_cast<const char*>(values.data()),
                  static_cast<std::streamsize>(4 * values.size()));
    }
    out.flush();
    if (!out)
        throw DataError(
            fmt::format("{}: cannot be written. Make room in the temporary directory.", path.string()));
}

void write_images(const std::filesystem::path& path, std::size_t count) {
    constexpr std::size_t side = 224, channels = 3;
    std::vector<std::uint8_t> pixels(count * side * side * channels);
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<std::uint8_t>(i * 2654435761U >> 24);
    const std::vector<std::int32_t> labels(count, 0);
    io::Hdf5File file(path, io::Hdf5File::Mode::create);
    file.write<std::uint8_t>("/images", pixels, {count, side, side, channels});
    file.write<std::int32_t>("/labels", labels);
    file.set_attribute("/images", "mean", std::array{0.5, 0.5, 0.5});
    file.set_attribute("/images", "std", std::array{0.25, 0.25, 0.25});
    file.close();
}

}  // namespace

SyntheticDeit::SyntheticDeit(std::size_t count, std::size_t depth) {
    std::string name = (std::filesystem::temp_directory_path() / "crossweep-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
        throw DataError(fmt::format("{}: cannot be made. Make room in the temporary directory.", name));
    folder_ = name;
    write_weights(weights(), depth);
    write_images(images(), count);
}

SyntheticDeit::~SyntheticDeit() {
    std::error_code ignored;  // a folder left behind in the temporary directory harms nobody
    std::filesystem::remove_all(folder_, ignored);
}

}  // namespace crossweep::app
