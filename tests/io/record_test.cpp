#include "crossweep/io/record.hpp"

#include <algorithm>
#include <limits>

#include "io/sample_records.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

TEST(Record, unpack_is_the_inverse_of_pack) {
    const auto records = sample_records();
    expect_equal(unpack(pack(records)), records);
    EXPECT_TRUE(pack({}).empty());
    EXPECT_TRUE(unpack({}).empty());
}

TEST(Record, is_of_an_unknown_path_until_it_is_told) {
    EXPECT_EQ(Record().path, "unknown");
}

TEST(Record, packed_records_can_be_joined) {
    const auto records = sample_records();
    auto bytes = pack(std::span(records).first(2));
    const auto rest = pack(std::span(records).subspan(2));
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    expect_equal(unpack(bytes), records);
}

TEST(Record, memory_of_another_record_is_used_again) {
    const auto records = sample_records();
    std::vector<std::byte> bytes;
    for (const Record& record : records) pack(record, bytes);
    EXPECT_EQ(bytes, pack(records));
    std::vector<Record> used(1);
    std::span<const std::byte> rest = bytes;
    for (const Record& record : records) {
        rest = unpack(rest, used[0]);
        expect_equal(used, {record});
    }
    EXPECT_TRUE(rest.empty());
}

TEST(Record, bytes_cut_off_anywhere_are_refused) {
    const auto records = sample_records();
    const auto bytes = pack(std::span(records).first(1));
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        EXPECT_THROW(unpack(std::span(bytes).first(size)), DataError) << size;
    }
}

TEST(Record, garbage_lengths_are_refused_without_allocating) {
    std::vector<Record> records(1);
    records[0].path.clear();  // any letters are as good as others
    const auto bytes = pack(records);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto garbled = bytes;
        for (std::size_t i = at; i < std::min(at + 8, garbled.size()); ++i) garbled[i] = std::byte{0xFF};
        try {
            unpack(garbled);
        } catch (const DataError&) {
            continue;
        }
        EXPECT_LT(at, 44U) << "garbled lengths were accepted";
    }
}

TEST(Record, content_hash_does_not_depend_on_order_time_or_path) {
    auto records = sample_records();
    const ContentHash before = content_hash(records);
    std::ranges::reverse(records);
    for (Record& record : records) {
        record.seconds += 1;
        record.path += ", elsewhere";
    }
    EXPECT_EQ(content_hash(records), before);
}

TEST(Record, content_hash_covers_every_other_field) {
    const auto original = sample_records();
    const std::vector<void (*)(Record&)> changes{
        [](Record& record) { record.key.point.high ^= 1; }, [](Record& record) { record.key.point.low ^= 1; },
        [](Record& record) { record.key.trial ^= 1; },      [](Record& record) { record.key.shard ^= 1; },
        [](Record& record) { record.failure += "."; },      [](Record& record) { record.images += 1; },
        [](Record& record) { record.correct_top1 += 1; },   [](Record& record) { record.correct_top5 += 1; },
        [](Record& record) { record.predicted[0] += 1; },   [](Record& record) { record.margin[0] += 1; },
        [](Record& record) { record.signal[0] += 1; },      [](Record& record) { record.noise.pop_back(); },
        [](Record& record) { record.predictions += 1; },    [](Record& record) { record.loss[0] += 1; },
        [](Record& record) { record.loss.clear(); },        [](Record& record) { record.hits = {1, 1, 0}; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        auto changed = original;
        changes[i](changed[0]);
        EXPECT_NE(content_hash(changed), content_hash(original)) << "change " << i;
    }
    EXPECT_NE(content_hash(std::span(original).first(2)), content_hash(original));
    EXPECT_NE(content_hash({}), content_hash(original));
}

TEST(Record, content_hash_does_not_depend_on_order_of_equal_keys) {
    std::vector<Record> twice(2, sample_records()[0]);
    twice[1].images += 1;
    const ContentHash before = content_hash(twice);
    std::swap(twice[0], twice[1]);
    EXPECT_EQ(content_hash(twice), before);
}

TEST(Record, content_hash_stays_what_it_was_in_each_version) {
    EXPECT_EQ(content_hash(sample_records_of_version_1()).hex(), "c623a55a1e91ead62906d74510901da5");
    EXPECT_EQ(content_hash(sample_records_of_version_2()).hex(), "c623a55a1e91ead62906d74510901da5");
    EXPECT_EQ(content_hash(sample_records()).hex(), "5f1eb2db2e61163f4da5db3347a94659");
}

TEST(Record, hashes_one_by_one_in_the_order_of_keys_give_the_hash_of_all) {
    auto records = sample_records();
    std::ranges::sort(records, {}, &Record::key);
    ContentHasher hasher;
    for (const Record& record : records) hasher.add(content_hash_of(record));
    EXPECT_EQ(hasher.digest(), content_hash(sample_records()));
}

}  // namespace
}  // namespace crossweep::io
