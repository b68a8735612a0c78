// Records as studies give them: whole ones, one of texts without attention, a failed one.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "crossweep/io/record.hpp"

namespace crossweep::io {

inline std::vector<Record> sample_records() {
    std::vector<Record> records(4);
    records[0] = {.key = {{0x0123456789abcdef, 42}, 0, 0},
                  .failure = {},
                  .images = 3,
                  .predictions = 1,
                  .correct_top1 = 2,
                  .correct_top5 = 3,
                  .seconds = 1.25,
                  .predicted = {7, 0, 999},
                  .margin = {0.5F, -0.25F, std::numeric_limits<float>::quiet_NaN()},
                  .loss = {0.75F, 1e-30F, 6.5F},
                  .hits = {},
                  .signal = {10.5, 11.5},
                  .noise = {0.5, 1e-300}};
    records[1] = records[0];
    records[1].key.trial = 1;
    records[1].predicted = {1, 2, 3};
    records[2].key = {{0x0123456789abcdef, 42}, 1, 7};
    records[2].failure = "logit 3 of image 12 is NaN. Replay: crossweep replay run 0123 --trial 1, µ";
    records[3] = {.key = {{~0ULL, 0}, 4294967295U, 1},
                  .failure = {},
                  .images = 1,
                  .predictions = 127,
                  .correct_top1 = 20,
                  .correct_top5 = 63,
                  .seconds = 0,
                  .predicted = {-1},
                  .margin = {-0.0F},
                  .loss = {2.25F},
                  .hits = {20},
                  .signal = {},
                  .noise = {}};
    for (Record& record : records) record.path = "x86-64-v4 + oneDNN avx512_core";
    records[2].path = "x86-64-v3 + oneDNN avx2";
    return records;
}

/// Records as version 2 stored them.
inline std::vector<Record> sample_records_of_version_2() {
    auto records = sample_records();
    for (Record& record : records) {
        record.predictions = 1;
        record.loss.clear();
        record.hits.clear();
    }
    records[3].correct_top1 = 0;
    records[3].correct_top5 = 1;
    return records;
}

/// The same as version 1 stored them.
inline std::vector<Record> sample_records_of_version_1() {
    auto records = sample_records_of_version_2();
    for (Record& record : records) record.path = "unknown";
    return records;
}

/// Equal in every bit, NaNs and times included.
inline void expect_equal(const std::vector<Record>& found, const std::vector<Record>& expected) {
    EXPECT_EQ(pack(found), pack(expected));
}

}  // namespace crossweep::io
