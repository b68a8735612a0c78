// A segment is an HDF5 file with a seal behind it: the hash of all bytes before. HDF5 ignores the seal, and
// never sees a file whose bytes have changed: it may crash on those.
#include "crossweep/io/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <type_traits>

#include "crossweep/core/build_info.hpp"
#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "file_descriptor.hpp"

namespace crossweep::io {
namespace {

constexpr std::string_view format_name = "crossweep segment";

struct Seal {
    char magic[16];
    std::uint64_t high, low;
};
constexpr std::string_view seal_magic = "crossweep:xxh128";
static_assert(sizeof(Seal) == 32 && seal_magic.size() == sizeof Seal::magic);

Seal seal_of(std::string_view contents) {
    const ContentHash content = hash_text(contents);
    Seal seal{{}, content.high, content.low};
    std::ranges::copy(seal_magic, seal.magic);
    return seal;
}

void append_seal(const std::filesystem::path& path) {
    const Seal seal = seal_of(read_text(path));
    FileDescriptor file(path, FileDescriptor::Mode::append);
    file.write(std::as_bytes(std::span(&seal, 1)));
    file.close();
}

[[noreturn]] void fail_as_damaged(const std::filesystem::path& path, const std::string& reason) {
    throw DamagedSegment(fmt::format(
        "{}: the segment is damaged ({}). Remove it from the run directory: its units will then be "
        "computed again.",
        path.string(), reason));
}

/// The bytes before the seal, once it is found to be theirs.
std::string_view sealed_part(std::string_view contents, const std::filesystem::path& path) {
    if (contents.size() < sizeof(Seal)) fail_as_damaged(path, "it is shorter than its seal");
    const std::string_view sealed = contents.substr(0, contents.size() - sizeof(Seal));
    const Seal expected = seal_of(sealed);
    if (std::memcmp(contents.data() + sealed.size(), &expected, sizeof(Seal)) != 0) {
        fail_as_damaged(path, "its bytes are not those that were written");
    }
    return sealed;
}

/// Calls `visit(name, field)` for every column that /records has in that version; `field(record)` is the
/// record's member.
void visit_columns(std::uint32_t version, auto&& visit) {
    visit(
        "/records/point_high", [](auto& record) -> auto& { return record.key.point.high; });
    visit(
        "/records/point_low", [](auto& record) -> auto& { return record.key.point.low; });
    visit(
        "/records/trial", [](auto& record) -> auto& { return record.key.trial; });
    visit(
        "/records/shard", [](auto& record) -> auto& { return record.key.shard; });
    visit(
        "/records/images", [](auto& record) -> auto& { return record.images; });
    visit(
        "/records/correct_top1", [](auto& record) -> auto& { return record.correct_top1; });
    visit(
        "/records/correct_top5", [](auto& record) -> auto& { return record.correct_top5; });
    visit(
        "/records/seconds", [](auto& record) -> auto& { return record.seconds; });
    visit(
        "/records/failure", [](auto& record) -> auto& { return record.failure; });
    if (version == 1) return;
    visit(
        "/records/path", [](auto& record) -> auto& { return record.path; });
    if (version == 2) return;
    visit(
        "/records/predictions", [](auto& record) -> auto& { return record.predictions; });
}

/// Calls `visit(begins, name, field)` for every array: all records' elements at `name`, one record's from its
/// entry of `begins` on, up to the next record's. Arrays of the same length in every record share `begins`.
/// Those of version 3 are in the file if a record has any elements.
void visit_arrays(auto&& visit) {
    constexpr const char* predictions = "/records/predictions_begin";
    constexpr const char* attention = "/records/attention_begin";
    visit(
        predictions, "/predictions/class", [](auto& record) -> auto& { return record.predicted; });
    visit(
        predictions, "/predictions/margin", [](auto& record) -> auto& { return record.margin; });
    visit(
        attention, "/attention/signal", [](auto& record) -> auto& { return record.signal; });
    visit(
        attention, "/attention/noise", [](auto& record) -> auto& { return record.noise; });
    visit(
        "/records/loss_begin", "/predictions/loss", [](auto& record) -> auto& { return record.loss; });
    visit(
        "/records/hits_begin", "/predictions/hits", [](auto& record) -> auto& { return record.hits; });
}

bool is_of_version_3(std::string_view array) {
    return array == "/predictions/loss" || array == "/predictions/hits";
}

void write_columns(Hdf5File& file, std::span<const Record> records) {
    visit_columns(record_version, [&](const char* name, auto field) {
        using Element = std::remove_cvref_t<decltype(field(records.front()))>;
        std::vector<Element> column;
        column.reserve(records.size());
        for (const Record& record : records) column.push_back(field(record));
        if constexpr (std::same_as<Element, std::string>) {
            file.write_texts_of_like_length(name, column);
        } else {
            file.write<Element>(name, column);
        }
    });
    visit_arrays([&](const char* begins_name, const char* name, auto field) {
        using Element = typename std::remove_cvref_t<decltype(field(records.front()))>::value_type;
        std::vector<Element> elements;
        std::vector<std::uint64_t> begins;
        begins.reserve(records.size());
        for (const Record& record : records) {
            begins.push_back(elements.size());
            elements.insert(elements.end(), field(record).begin(), field(record).end());
        }
        if (elements.empty() && is_of_version_3(name)) return;
        file.write<Element>(name, elements);
        if (!file.contains(begins_name)) file.write<std::uint64_t>(begins_name, begins);
    });
}

/// The columns into the records; their arrays stay as they are. `Columns` is Record or RecordStatus.
template <class Columns>
void read_columns(const Hdf5File& file, std::uint32_t version, std::vector<Columns>& records) {
    if (version != record_version) records.clear();  // for what the version has not got, records are as new
    records.resize(file.shape("/records/trial").at(0));
    visit_columns(version, [&](const char* name, auto field) {
        using Element = std::remove_cvref_t<decltype(field(records.front()))>;
        auto column = file.read<Element>(name);
        if (column.size() != records.size()) throw DataError(fmt::format("{} has a length of its own", name));
        for (std::size_t i = 0; i < records.size(); ++i) field(records[i]) = std::move(column[i]);
    });
}

/// Where the elements of each of `records` begin among `elements`, and where the last one's end.
std::vector<std::uint64_t> read_bounds(const Hdf5File& file, const char* begins_name, const char* name,
                                       std::size_t records, std::size_t elements) {
    auto bounds = file.read<std::uint64_t>(begins_name);
    bounds.push_back(elements);
    if (bounds.size() != records + 1 || !std::ranges::is_sorted(bounds)) {
        throw DataError(fmt::format("{} does not divide {}", begins_name, name));
    }
    return bounds;
}

void read_records(const Hdf5File& file, std::uint32_t version, std::vector<Record>& records) {
    read_columns(file, version, records);
    visit_arrays([&](const char* begins_name, const char* name, auto field) {
        using Element = typename std::remove_cvref_t<decltype(field(records.front()))>::value_type;
        if (is_of_version_3(name) && !file.contains(name)) {
            for (Record& record : records) field(record).clear();
            return;
        }
        const auto elements = file.read<Element>(name);
        const auto bounds = read_bounds(file, begins_name, name, records.size(), elements.size());
        for (std::size_t i = 0; i < records.size(); ++i) {
            field(records[i]).assign(elements.data() + bounds[i], elements.data() + bounds[i + 1]);
        }
    });
}

std::uint32_t version_of(const Hdf5File& file, const std::filesystem::path& path) {
    const auto version = file.number_attribute("/", "record_version");
    for (std::uint32_t known = 1; known <= record_version; ++known) {
        if (version.size() == 1 && version.front() == known) return known;
    }
    throw DataError(fmt::format(
        "{}: the segment has record version {} (this crossweep reads 1 to {}). Read it with the crossweep "
        "that wrote it, or start a new run directory.",
        path.string(), version.empty() ? 0 : version.front(), record_version));
}

/// Call `read(file, version)` with the segment, once its bytes are found to be those that were written. They
/// are read once: what is checked is what is used.
void read_sealed(const std::filesystem::path& path, auto&& read) {
    const std::string contents = read_text(path);
    const Hdf5File file(path, sealed_part(contents, path));
    if (!file.has_attribute("/", "format") || file.text_attribute("/", "format") != format_name) {
        fail_as_damaged(path, "it is not a crossweep segment");
    }
    const std::uint32_t version = version_of(file, path);
    try {
        read(file, version);
    } catch (const DataError& error) {
        throw DataError(
            fmt::format("{}: the segment cannot be read ({}), though its bytes are those that were written. "
                        "Start again; if that does not help, use the crossweep that wrote it.",
                        path.string(), error.what()));
    }
}

}  // namespace

void write_segment(const std::filesystem::path& path, std::span<const Record> records) {
    for (const Record& record : records) {
        const auto is_of_every_input = [&](const auto& array) {
            return array.empty() || array.size() == record.predicted.size();
        };
        if (record.predicted.size() != record.margin.size() || record.signal.size() != record.noise.size() ||
            !is_of_every_input(record.loss) || !is_of_every_input(record.hits)) {
            throw InternalError(
                fmt::format("record of trial {}, shard {}: what it says of every input, or signal and noise, "
                            "differ in length",
                            record.key.trial, record.key.shard));
        }
    }
    write_atomically(path, [records](const std::filesystem::path& temporary) {
        Hdf5File file(temporary, Hdf5File::Mode::create);
        file.set_attribute("/", "format", format_name);
        file.set_attribute("/", "record_version", std::array{static_cast<double>(record_version)});
        file.set_attribute("/", "content_hash", content_hash(records).hex());
        for (const auto& [name, value] : build_info()) {
            // As in results.h5: "version" alone could be the file's.
            file.set_attribute("/", name == "version" ? "crossweep_version" : name, value);
        }
        write_columns(file, records);
        file.close();
        append_seal(temporary);
    });
}

std::vector<Record> read_segment(const std::filesystem::path& path) {
    std::vector<Record> records;
    read_segment(path, records);
    return records;
}

void read_segment(const std::filesystem::path& path, std::vector<Record>& records) {
    read_sealed(path, [&](const Hdf5File& file, std::uint32_t version) {
        read_records(file, version, records);
        if (content_hash(records).hex() != file.text_attribute("/", "content_hash")) {
            throw DataError("its records do not match their hash");
        }
    });
}

std::vector<RecordStatus> read_segment_status(const std::filesystem::path& path) {
    std::vector<RecordStatus> statuses;
    read_sealed(path, [&](const Hdf5File& file, std::uint32_t version) {
        read_columns(file, version, statuses);
        constexpr const char *begins_name = "/records/attention_begin", *name = "/attention/signal";
        const auto bounds = read_bounds(file, begins_name, name, statuses.size(), file.shape(name).at(0));
        for (std::size_t i = 0; i < statuses.size(); ++i)
            statuses[i].layers = static_cast<std::uint32_t>(bounds[i + 1] - bounds[i]);
    });
    return statuses;
}

}  // namespace crossweep::io
