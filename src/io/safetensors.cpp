#include "crossweep/io/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "crossweep/core/error.hpp"
#include "crossweep/io/mapped_file.hpp"

namespace crossweep::io {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are viewed as they lie in the file");

constexpr std::size_t length_bytes = 8;              // the file starts with the header's length, uint64
constexpr std::size_t largest_header = 100'000'000;  // the format's own limit
constexpr int deepest_header = 3;                    // header, tensor, shape
constexpr std::size_t most_problems_listed = 100;
constexpr std::size_t longest_name_shown = 200;

struct ElementType {
    std::string_view name;
    std::size_t bytes;
};

/// Types of the safetensors format.
constexpr std::array element_types{
    ElementType{"BOOL", 1},    ElementType{"U8", 1},  ElementType{"I8", 1},  ElementType{"F8_E5M2", 1},
    ElementType{"F8_E4M3", 1}, ElementType{"I16", 2}, ElementType{"U16", 2}, ElementType{"F16", 2},
    ElementType{"BF16", 2},    ElementType{"I32", 4}, ElementType{"U32", 4}, ElementType{"F32", 4},
    ElementType{"F64", 8},     ElementType{"I64", 8}, ElementType{"U64", 8}};

/// `text` in quotes, on one line and of bounded length, whatever bytes a hostile file put into it.
std::string quoted(const std::string& text) {
    const std::string shown =
        text.size() > longest_name_shown ? text.substr(0, longest_name_shown) + "..." : text;
    return json(shown).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Collects what is wrong with one file, one sentence each.
class Problems {
  public:
    explicit Problems(const std::filesystem::path& path) : path_(path.string()) {}

    void add(const std::string& problem) {
        if (sentences_.size() < most_problems_listed)
            sentences_.push_back(fmt::format("{}: {}", path_, problem));
        ++count_;
    }
    void add_about(const std::string& tensor, const std::string& problem) {
        add(fmt::format("tensor {}: {}", quoted(tensor), problem));
    }
    void throw_if_any() const {
        if (count_ == 0) return;
        std::string message = fmt::format("{}", fmt::join(sentences_, "\n"));
        if (count_ > sentences_.size()) {
            message +=
                fmt::format("\n{}: {} further problems of this kind (not listed). Copy the file again.",
                            path_, count_ - sentences_.size());
        }
        throw DataError(message);
    }
    [[noreturn]] void fail(const std::string& problem) {
        add(problem);
        throw_if_any();
        throw InternalError("a problem was added and not found");
    }

  private:
    std::string path_;
    std::vector<std::string> sentences_;
    std::size_t count_ = 0;
};

/// Text of the header, after checking that it is inside the file.
std::string_view header_text(std::span<const std::byte> bytes, Problems& problems) {
    if (bytes.size() < length_bytes) {
        problems.fail(
            fmt::format("is {} bytes long (a safetensors file starts with the 8-byte length of its header). "
                        "Copy it again.",
                        bytes.size()));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), length_bytes);
    const bool fits = length <= largest_header && length <= bytes.size() - length_bytes;
    if (!fits && std::memcmp(bytes.data(), "PK\3\4", 4) == 0) {
        problems.fail(
            "is a zip archive, as PyTorch writes checkpoints (safetensors is needed). Import it with "
            "analysis/import_checkpoint.py.");
    }
    if (length > largest_header) {
        problems.fail(
            fmt::format("a header of {} bytes is announced (the format allows {}: this is not a safetensors "
                        "file, or it is corrupt). Check which file it is.",
                        length, largest_header));
    }
    if (length > bytes.size() - length_bytes) {
        problems.fail(fmt::format(
            "the header of {} bytes reaches beyond the file of {} bytes (the file is truncated or "
            "corrupt). Copy it again.",
            length, bytes.size()));
    }
    return {reinterpret_cast<const char*>(bytes.data()) + length_bytes, static_cast<std::size_t>(length)};
}

/// The header as JSON. Depth is limited so that brackets alone cannot fill the memory.
json parse_header(std::string_view text, Problems& problems) {
    std::set<std::string> names;
    const auto check = [&](int depth, json::parse_event_t event, json& value) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        if (opens && depth >= deepest_header) {
            problems.fail(
                "the header is nested too deeply (a tensor has a type, a shape and offsets). Write the file "
                "again.");
        }
        if (event == json::parse_event_t::key && depth == 1 &&
            !names.insert(value.get<std::string>()).second) {
            problems.add_about(value.get<std::string>(),
                               "is listed twice (names must be unique). Write the file again.");
        }
        return true;
    };
    json header;
    try {
        header = json::parse(text, check);
    } catch (const json::exception&) {
        problems.fail(
            "the header is not JSON (the file is corrupt, or not a safetensors file). Copy it again.");
    }
    if (!header.is_object()) {
        problems.fail(
            "the header is not a JSON object (it must map names to tensors). Write the file again.");
    }
    return header;
}

/// A JSON array of numbers in [0, 2^63), or nothing.
std::optional<std::vector<std::int64_t>> whole_numbers(const json& tensor, const char* field) {
    const auto found = tensor.find(field);
    if (found == tensor.end() || !found->is_array()) return std::nullopt;
    std::vector<std::int64_t> numbers;
    for (const json& number : *found) {
        if (!number.is_number_unsigned()) return std::nullopt;
        const auto value = number.get<std::uint64_t>();
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
        numbers.push_back(static_cast<std::int64_t>(value));
    }
    return numbers;
}

/// Bytes of a tensor, or nothing if they cannot be counted in 64 bits.
std::optional<std::size_t> bytes_of(const std::vector<std::int64_t>& shape, std::size_t element_bytes) {
    std::int64_t bytes = static_cast<std::int64_t>(element_bytes);
    if (std::ranges::find(shape, 0) != shape.end()) return 0;
    for (const std::int64_t extent : shape) {
        if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
    }
    return static_cast<std::size_t>(bytes);
}

/// Check the tensor's range against the data section and its shape.
void check_range(const std::string& name, const TensorInfo& info, std::size_t element_bytes,
                 std::size_t data_bytes, Problems& problems) {
    if (info.begin > info.end) {
        problems.add_about(
            name, fmt::format("bytes {}..{} end before they begin (the file is corrupt). Copy it again.",
                              info.begin, info.end));
        return;
    }
    if (info.end > data_bytes) {
        problems.add_about(name,
                           fmt::format("bytes {}..{} reach beyond the data section of {} bytes (the file is "
                                       "truncated or corrupt). Copy it again.",
                                       info.begin, info.end, data_bytes));
    }
    const std::optional<std::size_t> needed = bytes_of(info.shape, element_bytes);
    if (!needed) {
        problems.add_about(
            name, fmt::format("shape [{}] is too large (its bytes cannot be counted). Write the file "
                              "again.",
                              fmt::join(info.shape, ", ")));
    } else if (*needed != info.end - info.begin) {
        problems.add_about(
            name, fmt::format("shape [{}] of {} needs {} bytes (bytes {}..{} are {}). Write the file "
                              "again.",
                              fmt::join(info.shape, ", "), info.dtype, *needed, info.begin, info.end,
                              info.end - info.begin));
    }
}

/// The tensor `name` as its entry describes it; whatever is wrong goes to `problems`.
std::optional<TensorInfo> read_tensor(const std::string& name, const json& entry, std::size_t data_bytes,
                                      Problems& problems) {
    const auto reject = [&](const std::string& problem) {
        problems.add_about(name, problem);
        return std::nullopt;
    };
    constexpr std::size_t most_dimensions = 64;
    if (!entry.is_object())
        return reject("is not a JSON object (it needs dtype, shape, data_offsets). Write the file again.");
    const auto dtype = entry.find("dtype");
    if (dtype == entry.end() || !dtype->is_string()) {
        return reject("dtype is missing or not a text (one like \"F32\" is needed). Write the file again.");
    }
    const auto type =
        std::ranges::find(element_types, dtype->get_ref<const std::string&>(), &ElementType::name);
    if (type == element_types.end()) {
        return reject(
            fmt::format("dtype {} is unknown (F32, F16 and BF16 can be used). Convert the file to F32.",
                        quoted(dtype->get_ref<const std::string&>())));
    }
    auto shape = whole_numbers(entry, "shape");
    if (!shape || shape->size() > most_dimensions) {
        return reject(
            "shape is missing or not a list of numbers from 0 to 2^63 (one per dimension). Write the file "
            "again.");
    }
    const auto offsets = whole_numbers(entry, "data_offsets");
    if (!offsets || offsets->size() != 2) {
        return reject(
            "data_offsets are missing or not two numbers from 0 to 2^63 (begin and end are needed). Write "
            "the "
            "file again.");
    }
    TensorInfo info{dtype->get<std::string>(), std::move(*shape), static_cast<std::size_t>(offsets->front()),
                    static_cast<std::size_t>(offsets->back())};
    check_range(name, info, type->bytes, data_bytes, problems);
    return info;
}

/// Gaps between tensors are harmless; shared bytes mean that one of the two is not what it says.
void check_disjoint(const std::map<std::string, TensorInfo>& tensors, Problems& problems) {
    using Entry = std::map<std::string, TensorInfo>::value_type;
    std::vector<const Entry*> ordered;
    for (const Entry& entry : tensors) {
        if (entry.second.begin < entry.second.end) ordered.push_back(&entry);
    }
    std::ranges::sort(ordered, {}, [](const Entry* entry) { return entry->second.begin; });
    const Entry* furthest = nullptr;
    for (const Entry* entry : ordered) {
        if (furthest != nullptr && entry->second.begin < furthest->second.end) {
            problems.add_about(entry->first,
                               fmt::format("bytes {}..{} overlap those of {} (the file is corrupt). Copy it "
                                           "again.",
                                           entry->second.begin, entry->second.end, quoted(furthest->first)));
        }
        if (furthest == nullptr || entry->second.end > furthest->second.end) furthest = entry;
    }
}

std::map<std::string, std::string> read_metadata(const json& header, Problems& problems) {
    std::map<std::string, std::string> metadata;
    const auto found = header.find("__metadata__");
    if (found == header.end()) return metadata;
    if (!found->is_object()) {
        problems.add("__metadata__ is not a JSON object (it must map names to texts). Write the file again.");
        return metadata;
    }
    for (const auto& [name, value] : found->items()) {
        if (value.is_string()) {
            metadata.emplace(name, value.get<std::string>());
        } else {
            problems.add(fmt::format(
                "__metadata__ {} is not a text (the format allows texts only). Write the file again.",
                quoted(name)));
        }
    }
    return metadata;
}

/// IEEE 754 binary16 to binary32; exact, as every half is a float.
float from_half(std::uint16_t half) {
    constexpr std::uint32_t bias_difference = 127 - 15;
    constexpr float smallest_half = 0x1p-24F;
    const std::uint32_t sign = (half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(fraction) * smallest_half;
        return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t widened =
        exponent == 0x1FU ? 0xFFU : exponent + bias_difference;  // infinity and NaN stay so
    return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

/// bfloat16 is the upper half of a float.
float from_bfloat(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::vector<float> convert(std::span<const std::byte> bytes, float (*to_float)(std::uint16_t)) {
    std::vector<float> values(bytes.size() / sizeof(std::uint16_t));
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
        values[i] = to_float(bits);
    }
    return values;
}

std::vector<float> copy_floats(std::span<const std::byte> bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

bool aligned_for_float(const std::byte* address) {
    return reinterpret_cast<std::uintptr_t>(address) % alignof(float) == 0;
}

}  // namespace

std::int64_t TensorInfo::elements() const {
    if (std::ranges::find(shape, 0) != shape.end()) return 0;  // whose other extents may be anything
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    return count;
}

Safetensors::Safetensors(const std::filesystem::path& path) : Safetensors(path, map_file(path)) {}

Safetensors::Safetensors(const std::filesystem::path& path, SharedBytes contents)
    : path_(path), contents_(std::move(contents)) {
    Problems problems(path);
    const std::string_view text = header_text(contents_.bytes, problems);
    data_start_ = length_bytes + text.size();
    const json header = parse_header(text, problems);
    metadata_ = read_metadata(header, problems);
    const std::size_t data_bytes = contents_.bytes.size() - data_start_;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        if (auto info = read_tensor(name, entry, data_bytes, problems))
            tensors_.emplace(name, std::move(*info));
    }
    check_disjoint(tensors_, problems);
    problems.throw_if_any();
}

std::span<const float> Safetensors::floats(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
        throw DataError(
            fmt::format("{}: tensor {} is missing (the file has {} others). `crossweep inspect` lists them.",
                        path_.string(), quoted(name), tensors_.size()));
    }
    const TensorInfo& info = found->second;
    const auto bytes = contents_.bytes.subspan(data_start_ + info.begin, info.end - info.begin);
    if (info.dtype == "F32" && aligned_for_float(bytes.data())) {
        return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
    }
    if (const auto kept = converted_.find(name); kept != converted_.end()) return kept->second;
    if (info.dtype == "F32") return converted_[name] = copy_floats(bytes);
    if (info.dtype == "F16") return converted_[name] = convert(bytes, from_half);
    if (info.dtype == "BF16") return converted_[name] = convert(bytes, from_bfloat);
    throw DataError(
        fmt::format("{}: tensor {} is {} (F32, F16 or BF16 is needed here). Convert the file to F32.",
                    path_.string(), quoted(name), info.dtype));
}

ContentHash Safetensors::content_hash() const {
    return hash_bytes(contents_.bytes);
}

}  // namespace crossweep::io
