#include "point_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace crossweep::sweep {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1024} * 1024;

/// Precedes every packed record of a bucket.
struct Header {
    ContentHash point;
    std::uint64_t bytes;
};

struct Packed {
    ContentHash point;
    std::span<const std::byte> record;
};

void make_entry(const io::Record& record, std::vector<std::byte>& entry) {
    entry.assign(sizeof(Header), {});
    io::pack(record, entry);
    const Header header{record.key.point, entry.size() - sizeof(Header)};
    std::memcpy(entry.data(), &header, sizeof header);
}

/// The records of a bucket, those of one key in the order in which they came.
std::vector<Packed> packed_by_key(std::span<const std::byte> bytes) {
    std::vector<Packed> packed;
    while (!bytes.empty()) {
        Header header;
        std::memcpy(&header, bytes.data(), sizeof header);
        packed.push_back({header.point, bytes.subspan(sizeof header, header.bytes)});
        bytes = bytes.subspan(sizeof header + header.bytes);
    }
    std::ranges::stable_sort(packed, {}, &Packed::point);
    return packed;
}

}  // namespace

PointStream::PointStream(const Census& census, const RecordSource& records, std::size_t memory_bytes,
                         const ScratchFolder& folder)
    : census_(census), workload_(census.workload()), bucket_of_point_(workload_.point_keys.size()) {
    for (std::uint32_t p = 0; p < workload_.point_keys.size(); ++p) {
        if (workload_.is_reference[p])
            references_.emplace(PointId(p), PointRecords(workload_.trials, workload_.shards));
    }
    cut_buckets(memory_bytes, folder);
    records([this](const io::Record& record) { distribute(record); });
}

void PointStream::cut_buckets(std::size_t memory_bytes, const ScratchFolder& folder) {
    std::vector<std::vector<PointId>> cuts(1);
    std::size_t filled = 0;
    for (std::uint32_t p = 0; p < workload_.point_keys.size(); ++p) {
        if (workload_.is_reference[p]) continue;
        const std::size_t bytes = census_.bytes()[p];
        if (filled + bytes > memory_bytes && !cuts.back().empty()) {
            cuts.emplace_back();
            filled = 0;
        }
        filled += bytes;
        bucket_of_point_[p] = cuts.size() - 1;
        cuts.back().emplace_back(p);
    }
    const bool spills = cuts.size() > 1;
    const std::size_t buffer =
        spills ? std::min(buffer_bytes, memory_bytes / cuts.size()) : std::numeric_limits<std::size_t>::max();
    for (std::vector<PointId>& points : cuts) {
        const auto file = folder / fmt::format("{:06}.records", buckets_.size());
        buckets_.push_back({std::move(points), io::ScratchFile(file, buffer)});
    }
}

bool PointStream::is_of_study(const io::RecordKey& key) const {
    return key.trial < workload_.trials && key.shard < workload_.shards;
}

void PointStream::distribute(const io::Record& record) {
    if (!is_of_study(record.key)) return;
    const auto points = census_.points().find(record.key.point);
    entry_.clear();
    const Bucket* last = nullptr;
    for (const PointId point : points) {
        if (workload_.is_reference[point.value()]) {
            references_.at(point).put(reference_records_.emplace_back(record));
            continue;
        }
        // Points that share their records may have a bucket each, or share one.
        Bucket& bucket = buckets_[bucket_of_point_[point.value()]];
        if (&bucket == last) continue;
        if (entry_.empty()) make_entry(record, entry_);
        bucket.records.append(entry_);
        last = &bucket;
    }
}

void PointStream::for_each_point(const std::function<void(PointId, const PointRecords&)>& visit) {
    std::deque<io::Record> records;  // of one point after the other, in the same memory
    for (Bucket& bucket : buckets_) {
        const std::vector<std::byte> bytes = bucket.records.take();
        const std::vector<Packed> packed = packed_by_key(bytes);
        for (const PointId point : bucket.points) {
            std::size_t count = 0;
            PointRecords of_point(workload_.trials, workload_.shards);
            const ContentHash key = workload_.point_keys[point.value()];
            for (const Packed& one : std::ranges::equal_range(packed, key, {}, &Packed::point)) {
                if (count == records.size()) records.emplace_back();
                io::Record& record = records[count++];
                io::unpack(one.record, record);
                of_point.put(record);
            }
            visit(point, of_point);
        }
    }
}

StudyHasher::StudyHasher(const Census& census, const ScratchFolder& folder)
    : points_(census.points()),
      workload_(census.workload()),
      of_point_(workload_.point_keys.size()),
      hashes_(folder / "hashes", 8 * buffer_bytes) {}

void StudyHasher::add(PointId point, const PointRecords& records) {
    const bool repeats = points_.find(workload_.point_keys[point.value()]).front() != point;
    if (repeats) return;
    Range& range = of_point_[point.value()];
    range.first = hashes_.size();
    for (std::size_t trial = 0; trial < records.trials(); ++trial) {
        for (std::size_t shard = 0; shard < records.shards(); ++shard) {
            const io::Record* record = records.find(trial, shard);
            if (record == nullptr) continue;
            const ContentHash of_record = io::content_hash_of(*record);
            hashes_.append(std::as_bytes(std::span(&of_record, 1)));
        }
    }
    range.count = hashes_.size() - range.first;
}

ContentHash StudyHasher::digest() {
    io::ContentHasher hasher;
    for (const PointId point : points_.in_key_order()) {
        const Range& range = of_point_[point.value()];
        const auto bytes = hashes_.read(range.first, range.count);
        for (std::size_t at = 0; at < bytes.size(); at += sizeof(ContentHash)) {
            ContentHash of_record;
            std::memcpy(&of_record, bytes.data() + at, sizeof of_record);
            hasher.add(of_record);
        }
    }
    return hasher.digest();
}

}  // namespace crossweep::sweep
