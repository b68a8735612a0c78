#include "crossweep/io/safetensors.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using testing::StartsWith;

std::string with_length(const std::string& header) {
    return bytes_of(std::uint64_t{header.size()}) + header;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
    return '"' + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}";
}

class SafetensorsFile : public testing::Test {
  protected:
    Safetensors open(const std::string& bytes) {
        write_file(path_, bytes);
        return Safetensors(path_);
    }
    std::string error_of(const std::string& bytes) {
        return data_error_of([&] { open(bytes); });
    }
    std::string error_of_header(const std::string& header, std::size_t data_bytes = 64) {
        return error_of(with_length(header) + std::string(data_bytes, '\0'));
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "model.safetensors";
};

TEST_F(SafetensorsFile, reads_tensors_and_metadata) {
    const std::string header = R"({"__metadata__":{"model":"vit"},)" + entry("b", "F32", "[1,2]", "[4,12]") +
                               "," + entry("a", "F32", "[]", "[0,4]") + "," +
                               entry("none", "F32", "[0,7]", "[12,12]") + "}   ";
    const Safetensors file = open(with_length(header) + bytes_of(1.5F) + bytes_of(-2.0F) + bytes_of(0.25F));
    EXPECT_THAT(file.floats("a"), ElementsAre(1.5F));
    EXPECT_THAT(file.floats("b"), ElementsAre(-2.0F, 0.25F));
    EXPECT_TRUE(file.floats("none").empty());
    EXPECT_EQ(file.tensors().at("b").elements(), 2);
    EXPECT_EQ(file.tensors().at("a").elements(), 1);
    EXPECT_EQ(file.tensors().at("none").elements(), 0);
    EXPECT_EQ(file.metadata().at("model"), "vit");
    EXPECT_EQ(file.path(), path_);
}

TEST_F(SafetensorsFile, is_read_from_bytes_under_the_name_of_its_file) {
    const std::string bytes =
        with_length("{" + entry("a", "F32", "[2]", "[0,8]") + "}") + bytes_of(1.5F) + bytes_of(-2.0F);
    const Safetensors file(path_, own_bytes(bytes));
    EXPECT_THAT(file.floats("a"), ElementsAre(1.5F, -2.0F));
    EXPECT_EQ(file.content_hash(), open(bytes).content_hash());
    EXPECT_THAT(data_error_of([&] { Safetensors(path_, {}); }),
                StartsWith(path_.string() + ": is 0 bytes long"));
}

TEST_F(SafetensorsFile, aligned_and_unaligned_floats_are_equal) {
    for (const std::size_t padding : {0U, 1U, 2U, 3U, 4U}) {
        const std::string header = "{" + entry("a", "F32", "[2]", "[1,9]") + "}" + std::string(padding, ' ');
        const Safetensors file = open(with_length(header) + "x" + bytes_of(1.5F) + bytes_of(-2.0F));
        EXPECT_THAT(file.floats("a"), ElementsAre(1.5F, -2.0F));
        EXPECT_THAT(file.floats("a"), ElementsAre(1.5F, -2.0F));
    }
}

/// Value of a binary16 by its definition (IEEE 754-2019, 3.4), for finite numbers.
double half_by_definition(std::uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31U);
    const double fraction = static_cast<double>(bits & 1023U) / 1024;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
    return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

TEST_F(SafetensorsFile, every_half_becomes_its_exact_value) {
    std::string data;
    for (std::uint32_t bits = 0; bits < 65536; ++bits) data += bytes_of(static_cast<std::uint16_t>(bits));
    const Safetensors file = open(with_length("{" + entry("h", "F16", "[65536]", "[0,131072]") + "}") + data);
    const auto values = file.floats("h");
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const bool special = (bits & 0x7C00U) == 0x7C00U;
        if (special && (bits & 0x3FFU) != 0) {
            ASSERT_TRUE(std::isnan(values[bits])) << bits;
        } else if (special) {
            ASSERT_TRUE(std::isinf(values[bits])) << bits;
        } else {
            ASSERT_EQ(static_cast<double>(values[bits]), half_by_definition(bits)) << bits;
        }
        ASSERT_EQ(std::signbit(values[bits]), bits >= 0x8000U) << bits;
    }
}

TEST_F(SafetensorsFile, bfloats_keep_their_bits) {
    std::string data;
    const std::vector<std::uint16_t> all{0x0000, 0x8000, 0x0001, 0x3F80, 0xC049, 0x7F80, 0xFF80, 0x7FC1};
    for (const std::uint16_t bits : all) data += bytes_of(bits);
    const Safetensors file = open(with_length("{" + entry("b", "BF16", "[8]", "[0,16]") + "}") + data);
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(file.floats("b")[i]), std::uint32_t{all[i]} << 16);
    }
}

TEST_F(SafetensorsFile, absent_and_unusable_tensors_are_named) {
    const Safetensors file =
        open(with_length("{" + entry("ids", "I64", "[1]", "[0,8]") + "}") + std::string(8, '\0'));
    EXPECT_EQ(data_error_of([&] { file.floats("head"); }),
              path_.string() +
                  ": tensor \"head\" is missing (the file has 1 others). `crossweep inspect` lists them.");
    EXPECT_EQ(data_error_of([&] { file.floats("ids"); }),
              path_.string() +
                  ": tensor \"ids\" is I64 (F32, F16 or BF16 is needed here). Convert the file to F32.");
}

TEST_F(SafetensorsFile, content_hash_changes_with_any_byte) {
    const std::string bytes = with_length("{" + entry("a", "F32", "[1]", "[0,4]") + "}") + bytes_of(1.0F);
    const ContentHash before = open(bytes).content_hash();
    EXPECT_EQ(open(bytes).content_hash(), before);
    std::string changed = bytes;
    changed.back() = static_cast<char>(changed.back() ^ 1);
    EXPECT_NE(open(changed).content_hash(), before);
}

TEST_F(SafetensorsFile, lists_every_problem_at_once) {
    const std::string header =
        R"({"__metadata__":{"n":3},)" + entry("head.weight", "F32", "[16]", "[16,80]") + "," +
        entry("a", "F32", "[3]", "[0,8]") + "," + entry("b", "F32", "[1]", "[4,8]") + R"(,"c":7})";
    const std::string start = path_.string() + ": ";
    EXPECT_EQ(
        error_of_header(header),
        start + "__metadata__ \"n\" is not a text (the format allows texts only). Write the file again.\n" +
            start +
            "tensor \"a\": shape [3] of F32 needs 12 bytes (bytes 0..8 are 8). Write the file again.\n" +
            start +
            "tensor \"c\": is not a JSON object (it needs dtype, shape, data_offsets). Write the file "
            "again.\n" +
            start +
            "tensor \"head.weight\": bytes 16..80 reach beyond the data section of 64 bytes (the file is "
            "truncated "
            "or corrupt). Copy it again.\n" +
            start + "tensor \"b\": bytes 4..8 overlap those of \"a\" (the file is corrupt). Copy it again.");
}

TEST_F(SafetensorsFile, bad_header_lengths_are_refused) {
    EXPECT_THAT(error_of(""), HasSubstr("is 0 bytes long"));
    EXPECT_THAT(error_of("1234567"), HasSubstr("is 7 bytes long"));
    EXPECT_THAT(error_of(bytes_of(std::uint64_t{3}) + "{}"),
                HasSubstr("reaches beyond the file of 10 bytes"));
    EXPECT_THAT(error_of(bytes_of(std::uint64_t{100'000'001}) + "{}"),
                HasSubstr("the format allows 100000000"));
    EXPECT_THAT(error_of(std::string(8, '\xFF') + "{}"), HasSubstr("18446744073709551615"));
}

TEST_F(SafetensorsFile, headers_that_are_no_objects_are_refused) {
    for (const char* header : {"", "{", "{]", "\xFF\xFE", "{\"a\":\"\xC3\"}", "nul"}) {
        EXPECT_THAT(error_of_header(header), HasSubstr("the header is not JSON")) << header;
    }
    for (const char* header : {"[]", "3", "null", "\"text\""}) {
        EXPECT_THAT(error_of_header(header), HasSubstr("is not a JSON object")) << header;
    }
    EXPECT_THAT(error_of_header(std::string(1'000'000, '[')), HasSubstr("nested too deeply"));
    EXPECT_THAT(error_of_header(R"({"a":{"shape":[[1]]}})"), HasSubstr("nested too deeply"));
}

TEST_F(SafetensorsFile, wrong_fields_are_refused) {
    for (const char* shape :
         {"[-1]", "[1.0]", "[\"1\"]", "4", "null", "{}", "[9223372036854775808]", "[1e400]", "[true]"}) {
        EXPECT_THROW(open(with_length("{" + entry("a", "F32", shape, "[0,4]") + "}") + "1234"), DataError)
            << shape;
    }
    for (const char* offsets :
         {"[0]", "[0,4,8]", "[-4,0]", "[4,0]", "[0,4.0]", "4", "[]", "[0,18446744073709551615]"}) {
        EXPECT_THROW(open(with_length("{" + entry("a", "F32", "[1]", offsets) + "}") + "1234"), DataError)
            << offsets;
    }
    EXPECT_THAT(error_of_header(R"({"a":{}})"), HasSubstr("dtype is missing"));
    EXPECT_THAT(error_of_header(R"({"a":{"dtype":32}})"), HasSubstr("dtype is missing"));
    EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F31"}})"), HasSubstr("dtype \"F31\" is unknown"));
    EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F32"}})"), HasSubstr("shape is missing"));
    EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F32","shape":[]}})"),
                HasSubstr("data_offsets are missing"));
    EXPECT_THAT(error_of_header(R"({"__metadata__":[]})"), HasSubstr("__metadata__ is not a JSON object"));
}

TEST_F(SafetensorsFile, overflowing_shapes_are_refused) {
    EXPECT_THAT(error_of_header("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}"),
                HasSubstr("cannot be counted"));
    EXPECT_THAT(error_of_header("{" + entry("a", "F32", "[4611686018427387904,1]", "[0,0]") + "}"),
                HasSubstr("cannot be counted"));
    const Safetensors empty = open(
        with_length("{" + entry("a", "F32", "[9223372036854775807,9223372036854775807,0]", "[0,0]") + "}"));
    EXPECT_EQ(empty.tensors().at("a").elements(), 0);
}

TEST_F(SafetensorsFile, names_listed_twice_are_refused) {
    const std::string twice = entry("a", "F32", "[1]", "[0,4]");
    EXPECT_THAT(error_of_header("{" + twice + "," + twice + "}"), HasSubstr("tensor \"a\": is listed twice"));
}

TEST_F(SafetensorsFile, hostile_names_stay_on_one_short_line) {
    const std::string message =
        error_of_header(R"({"line\nbreak\u0007":1,")" + std::string(100'000, 'n') + R"(":2})");
    EXPECT_EQ(std::ranges::count(message, '\n'), 1);
    EXPECT_LT(message.size(), 1500U);
}

TEST_F(SafetensorsFile, endless_problems_are_counted_rather_than_listed) {
    std::string header = "{\"t0\":0";
    for (int i = 1; i < 1000; ++i) header += ",\"t" + std::to_string(i) + "\":0";
    const std::string message = error_of_header(header + "}");
    EXPECT_EQ(std::ranges::count(message, '\n'), 100);
    EXPECT_THAT(message, HasSubstr("900 further problems"));
}

TEST_F(SafetensorsFile, truncation_anywhere_is_found) {
    const std::string bytes =
        with_length("{" + entry("a", "F32", "[4]", "[0,16]") + "}") + std::string(16, '\1');
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_THAT(error_of(bytes.substr(0, size)), StartsWith(path_.string() + ": ")) << size;
    }
}

TEST_F(SafetensorsFile, changed_header_bytes_never_crash) {
    const std::string bytes =
        with_length(R"({"__metadata__":{"k":"v"},)" + entry("a", "F16", "[2,2]", "[0,8]") + "," +
                    entry("b", "F32", "[2]", "[8,16]") + "}") +
        std::string(16, '\1');
    for (std::size_t at = 0; at < bytes.size() - 16; ++at) {
        for (int change = 1; change < 256; change *= 2) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ change);
            try {
                const Safetensors file = open(changed);
                for (const auto& [name, info] : file.tensors()) {
                    if (info.dtype == "F32" || info.dtype == "F16") file.floats(name);
                }
            } catch (const DataError& error) {
                ASSERT_THAT(error.what(), StartsWith(path_.string() + ": "));
            }
        }
    }
}

}  // namespace
}  // namespace crossweep::io
