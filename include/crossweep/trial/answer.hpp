// What the logits of one input say about its right answers.
#pragma once

#include <cstdint>
#include <span>

#include "crossweep/io/record.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::trial {

struct Answer {
    bool finite = true;                ///< all logits are; else nothing else here means anything
    std::uint32_t top1 = 0, top5 = 0;  ///< right answers that are the first, or among the first five
    double loss = 0;                   ///< cross entropy in nats, mean over the answers
    std::int32_t last_predicted = 0;   ///< largest logit of the last row; ties go to the lower class
    float last_margin = 0;             ///< of the last row, the right answer's logit minus the largest other
};

/// Judge logits, of which row i answers `targets[i]`; further rows answer nothing.
Answer judge(const linalg::MatrixView& logits, std::span<const std::int32_t> targets);

/// Add one input's answer to `record`; all its inputs have as many `targets`.
void count(const Answer& answer, std::size_t targets, io::Record& record);

}  // namespace crossweep::trial
