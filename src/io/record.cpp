// Layout of a packed record, little-endian: point high, low (uint64); trial, shard, images, correct_top1,
// correct_top5 (uint32); seconds (double); then failure, predicted, margin, signal, noise, path, each as its
// length (uint64) and elements.
#include "crossweep/io/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <compare>
#include <cstring>

#include "crossweep/core/error.hpp"

namespace crossweep::io {
namespace {

static_assert(std::endian::native == std::endian::little, "packed records are copied as they lie in memory");

template <class T>
concept Number = std::is_arithmetic_v<T>;

class Packer {
  public:
    explicit Packer(std::vector<std::byte>& bytes) : bytes_(bytes) {}

    template <Number T>
    void operator()(const T& value) {
        append(std::as_bytes(std::span(&value, 1)));
    }
    template <class Container>
    void operator()(const Container& values) {
        (*this)(static_cast<std::uint64_t>(values.size()));
        append(std::as_bytes(std::span(values)));
    }

  private:
    void append(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    std::vector<std::byte>& bytes_;
};

class Unpacker {
  public:
    explicit Unpacker(std::span<const std::byte> bytes) : rest_(bytes) {}
    bool at_end() const { return rest_.empty(); }

    template <Number T>
    void operator()(T& value) {
        copy_to(&value, take(1, sizeof(T)));
    }
    template <class Container>
    void operator()(Container& values) {
        std::uint64_t count = 0;
        (*this)(count);
        const auto bytes = take(count, sizeof(typename Container::value_type));
        values.resize(count);
        copy_to(values.data(), bytes);
    }

  private:
    std::span<const std::byte> take(std::uint64_t count, std::size_t element_size) {
        if (count > rest_.size() / element_size) {
            throw DataError(
                fmt::format("packed records: {} elements of {} bytes are announced where {} bytes are left "
                            "(the message is cut off or "
                            "garbled). Run every rank with the same build of crossweep.",
                            count, element_size, rest_.size()));
        }
        const auto taken = rest_.first(count * element_size);
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    static void copy_to(void* target, std::span<const std::byte> bytes) {
        if (!bytes.empty()) std::memcpy(target, bytes.data(), bytes.size());
    }
    std::span<const std::byte> rest_;
};

/// Calls `visit` with the fields that are content, and with `seconds` at its place among them.
void visit_content(auto& record, auto& seconds, auto&& visit) {
    visit(record.key.point.high);
    visit(record.key.point.low);
    visit(record.key.trial);
    visit(record.key.shard);
    visit(record.images);
    visit(record.correct_top1);
    visit(record.correct_top5);
    visit(seconds);
    visit(record.failure);
    visit(record.predicted);
    visit(record.margin);
    visit(record.signal);
    visit(record.noise);
}

/// Calls `visit` with every field in the order of the layout; one list for both directions.
void visit_fields(auto& record, auto&& visit) {
    visit_content(record, record.seconds, visit);
    visit(record.path);
}

}  // namespace

std::vector<std::byte> pack(std::span<const Record> records) {
    std::vector<std::byte> bytes;
    for (const Record& record : records) visit_fields(record, Packer(bytes));
    return bytes;
}

std::vector<Record> unpack(std::span<const std::byte> bytes) {
    std::vector<Record> records;
    for (Unpacker unpacker(bytes); !unpacker.at_end();) {
        Record& record = records.emplace_back();
        visit_fields(record, unpacker);
    }
    return records;
}

RecordStatus status_of(const Record& record) {
    return {
        record.key,          record.failure, record.images, record.correct_top1,
        record.correct_top5, record.seconds, record.path,   static_cast<std::uint32_t>(record.signal.size())};
}

ContentHash content_hash_of(const Record& record) {
    constexpr double no_time = 0;
    std::vector<std::byte> bytes;
    visit_content(record, no_time, Packer(bytes));
    return hash_bytes(bytes);
}

void ContentHasher::add(const ContentHash& of_record) {
    stream_.add(std::as_bytes(std::span(&of_record.high, 1)));
    stream_.add(std::as_bytes(std::span(&of_record.low, 1)));
}

ContentHash content_hash(std::span<const Record> records) {
    struct Entry {
        RecordKey key;
        ContentHash content;
        auto operator<=>(const Entry&) const = default;
    };
    std::vector<Entry> entries;
    entries.reserve(records.size());
    for (const Record& record : records) entries.push_back({record.key, content_hash_of(record)});
    std::ranges::sort(entries);
    ContentHasher hasher;
    for (const Entry& entry : entries) hasher.add(entry.content);
    return hasher.digest();
}

}  // namespace crossweep::io
