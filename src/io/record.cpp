// Layout of a packed record, little-endian: point high, low (uint64); trial, shard, images, correct_top1,
// correct_top5 (uint32); seconds (double); failure, predicted, margin, signal, noise, each as its length
// (uint64) and elements; predictions (uint32); loss, hits, path, as those before.
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

/// Counts the bytes that a Packer will need.
class Sizer {
  public:
    explicit Sizer(std::size_t& size) : size_(size) {}

    template <Number T>
    void operator()(const T&) {
        size_ += sizeof(T);
    }
    template <class Container>
    void operator()(const Container& values) {
        size_ += sizeof(std::uint64_t) + std::as_bytes(std::span(values)).size();
    }

  private:
    std::size_t& size_;
};

class Packer {
  public:
    explicit Packer(std::byte* target) : target_(target) {}

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
    void append(std::span<const std::byte> bytes) {
        if (!bytes.empty()) std::memcpy(target_, bytes.data(), bytes.size());
        target_ += bytes.size();
    }
    std::byte* target_;
};

class Unpacker {
  public:
    explicit Unpacker(std::span<const std::byte> bytes) : rest_(bytes) {}
    std::span<const std::byte> rest() const { return rest_; }

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

/// Calls `visit` with the fields that are content since version 3.
void visit_loss(auto& record, auto&& visit) {
    visit(record.predictions);
    visit(record.loss);
    visit(record.hits);
}

/// Records of before keep the hash that their segments have.
bool has_loss(const Record& record) {
    return record.predictions != 1 || !record.loss.empty() || !record.hits.empty();
}

/// Calls `visit` with every field in the order of the layout; one list for both directions.
void visit_fields(auto& record, auto&& visit) {
    visit_content(record, record.seconds, visit);
    visit_loss(record, visit);
    visit(record.path);
}

/// Append to `bytes` what `visit_all(visit)` calls `visit` with.
void append_packed(std::vector<std::byte>& bytes, auto&& visit_all) {
    const std::size_t first = bytes.size();
    std::size_t size = 0;
    visit_all(Sizer(size));
    bytes.resize(first + size);
    visit_all(Packer(bytes.data() + first));
}

/// `packed` is memory to use again.
ContentHash content_hash_of(const Record& record, std::vector<std::byte>& packed) {
    constexpr double no_time = 0;
    packed.clear();
    append_packed(packed, [&](auto&& visit) {
        visit_content(record, no_time, visit);
        if (has_loss(record)) visit_loss(record, visit);
    });
    return hash_bytes(packed);
}

}  // namespace

void pack(const Record& record, std::vector<std::byte>& bytes) {
    append_packed(bytes, [&](auto&& visit) { visit_fields(record, visit); });
}

std::vector<std::byte> pack(std::span<const Record> records) {
    std::vector<std::byte> bytes;
    for (const Record& record : records) pack(record, bytes);
    return bytes;
}

std::span<const std::byte> unpack(std::span<const std::byte> bytes, Record& record) {
    Unpacker unpacker(bytes);
    visit_fields(record, unpacker);
    return unpacker.rest();
}

std::vector<Record> unpack(std::span<const std::byte> bytes) {
    std::vector<Record> records;
    while (!bytes.empty()) bytes = unpack(bytes, records.emplace_back());
    return records;
}

RecordStatus status_of(const Record& record) {
    return {record.key,         record.failure,      record.images,
            record.predictions, record.correct_top1, record.correct_top5,
            record.seconds,     record.path,         static_cast<std::uint32_t>(record.signal.size())};
}

ContentHash content_hash_of(const Record& record) {
    std::vector<std::byte> packed;
    return content_hash_of(record, packed);
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
    std::vector<std::byte> packed;
    for (const Record& record : records) entries.push_back({record.key, content_hash_of(record, packed)});
    std::ranges::sort(entries);
    ContentHasher hasher;
    for (const Entry& entry : entries) hasher.add(entry.content);
    return hasher.digest();
}

}  // namespace crossweep::io
