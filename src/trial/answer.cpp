#include "crossweep/trial/answer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::trial {
namespace {

/// Add row `logits` with the right answer `correct` to `answer`, as the last one so far.
void judge_row(std::span<const float> logits, std::size_t correct, Answer& answer) {
    const float of_correct = logits[correct];
    std::size_t ahead = 0;
    float largest_other = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (i == correct) continue;
        if (logits[i] > of_correct || (logits[i] == of_correct && i < correct)) ++ahead;
        largest_other = std::max(largest_other, logits[i]);
    }
    answer.top1 += ahead == 0 ? 1 : 0;
    answer.top5 += ahead < 5 ? 1 : 0;
    answer.loss += linalg::log_sum_exp(logits) - static_cast<double>(of_correct);
    answer.last_predicted =
        static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    answer.last_margin = of_correct - largest_other;
}

}  // namespace

Answer judge(const linalg::MatrixView& logits, std::span<const std::int32_t> targets) {
    CROSSWEEP_EXPECT(!targets.empty() && static_cast<Eigen::Index>(targets.size()) <= logits.rows());
    Answer answer;
    linalg::MatrixView rows = logits;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto row = linalg::row_of(rows, static_cast<Eigen::Index>(i));
        answer.finite = std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); });
        if (!answer.finite) return answer;
        judge_row(row, static_cast<std::size_t>(targets[i]), answer);
    }
    answer.loss /= static_cast<double>(targets.size());
    return answer;
}

void count(const Answer& answer, std::size_t targets, io::Record& record) {
    ++record.images;
    record.predictions = static_cast<std::uint32_t>(targets);
    record.correct_top1 += answer.top1;
    record.correct_top5 += answer.top5;
    record.predicted.push_back(answer.last_predicted);
    record.margin.push_back(answer.last_margin);
    record.loss.push_back(static_cast<float>(answer.loss));
    if (targets > 1) record.hits.push_back(answer.top1);
}

}  // namespace crossweep::trial
