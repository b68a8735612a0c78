// Writing safetensors files whose tensors a test has changed.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crossweep/io/safetensors.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::model {

struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

/// The tensors and texts of a file, to be changed and written again.
struct SafetensorsText {
    std::map<std::string, Tensor> tensors;
    std::map<std::string, std::string> metadata;

    explicit SafetensorsText(const io::Safetensors& file) : metadata(file.metadata()) {
        for (const auto& [name, info] : file.tensors()) {
            const auto values = file.floats(name);
            tensors[name] = {info.shape, {values.begin(), values.end()}};
        }
    }

    /// Write everything as F32.
    void save(const std::filesystem::path& path) const {
        nlohmann::json header{{"__metadata__", metadata}};
        std::string body;
        for (const auto& [name, tensor] : tensors) {
            const std::size_t bytes = tensor.values.size() * sizeof(float), begin = body.size();
            header[name] = {
                {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + bytes}}};
            body.append(reinterpret_cast<const char*>(tensor.values.data()), bytes);
        }
        const std::string text = header.dump();
        io::write_file(path, io::bytes_of(std::uint64_t{text.size()}) + text + body);
    }
};

}  // namespace crossweep::model
