// The result of one (point, trial, shard): counts and sums, never means, so that records merge in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crossweep/core/content_hash.hpp"

namespace crossweep::io {

/// Version of the stored layout; readers accept this version and every earlier one that a test has a file of.
inline constexpr std::uint32_t record_version = 3;

/// Names a record. `point` hashes everything that changes the result apart from trial and shard.
struct RecordKey {
    ContentHash point;
    std::uint32_t trial = 0;
    std::uint32_t shard = 0;

    auto operator<=>(const RecordKey&) const = default;
};

/// What one (point, trial, shard) gave. A failed record has counts of zero, empty arrays and says why.
struct Record {
    RecordKey key;
    std::string failure;             ///< empty if the unit succeeded; else one sentence
    std::uint32_t images = 0;        ///< inputs evaluated: images or texts
    std::uint32_t predictions = 1;   ///< that every input asks for: the next tokens of a text; else one
    std::uint32_t correct_top1 = 0;  ///< of all predictions of all inputs
    std::uint32_t correct_top5 = 0;
    double seconds = 0;                   ///< compute time; not part of the content
    std::string path = "unknown";         ///< instruction sets that computed it; not part of the content
    std::vector<std::int32_t> predicted;  ///< [images] class with the largest logit, of the last prediction
    std::vector<float> margin;        ///< [images] logit of the label minus the largest other logit, likewise
    std::vector<float> loss;          ///< [images] cross entropy of the right answers in nats, mean over the
                                      ///< predictions of the input; empty before version 3
    std::vector<std::uint32_t> hits;  ///< [images] right predictions; empty where each input asks for one,
                                      ///< which `predicted` says
    std::vector<double> signal, noise;  ///< [layers] sum of A^2 and of (A - A')^2 over the shard's images

    bool failed() const { return !failure.empty(); }
    /// Bytes that it takes in a message or a segment, about.
    std::size_t size_bytes() const {
        return 100 + failure.size() + path.size() + 8 * predicted.size() + 4 * (loss.size() + hits.size()) +
               16 * signal.size();
    }
};

/// What planning and progress need of a record: all but its arrays.
struct RecordStatus {
    RecordKey key;
    std::string failure;
    std::uint32_t images = 0;
    std::uint32_t predictions = 1;
    std::uint32_t correct_top1 = 0;
    std::uint32_t correct_top5 = 0;
    double seconds = 0;
    std::string path = "unknown";
    std::uint32_t layers = 0;  ///< entries of its `signal`

    bool failed() const { return !failure.empty(); }
};

RecordStatus status_of(const Record& record);

/// Records as bytes, for messages between ranks and for hashing.
std::vector<std::byte> pack(std::span<const Record> records);
/// Append a record's bytes to `bytes`.
void pack(const Record& record, std::vector<std::byte>& bytes);
/// Inverse of `pack`; throws DataError if the bytes are not whole records.
std::vector<Record> unpack(std::span<const std::byte> bytes);
/// The first record of `bytes` into `record`, whose memory is used again; gives the bytes behind it.
std::span<const std::byte> unpack(std::span<const std::byte> bytes, Record& record);

/// Hash of the records sorted by key, without `seconds` and `path`: equal for equal results, whatever order
/// or rank made them.
ContentHash content_hash(std::span<const Record> records);

/// Hash of what a record holds, its key included, without `seconds` and `path`. Of a record without what came
/// with version 3 it is what it was before.
ContentHash content_hash_of(const Record& record);

/// The content hash of records that come one by one, each by its own content hash, in the order of their
/// keys.
class ContentHasher {
  public:
    void add(const ContentHash& of_record);
    ContentHash digest() const { return stream_.digest(); }

  private:
    HashStream stream_;
};

}  // namespace crossweep::io
