// Statistics of column sums that set the ranges of ADCs. When to calibrate, and on what, is decided in trial.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "crossweep/core/strong_id.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// Upper ends of ranges that calibration found, per layer, operand and slice; the lower end is 0.
class AdcRanges {
  public:
    void set(LayerId layer, linalg::Role role, std::vector<double> top_of_slice);
    /// Throws InternalError if there is none.
    const std::vector<double>& of(LayerId layer, linalg::Role role) const;

    using Key = std::pair<std::uint32_t, std::uint32_t>;  ///< layer, role
    const std::map<Key, std::vector<double>>& all() const { return tops_; }

  private:
    std::map<Key, std::vector<double>> tops_;
};

/// Counts the sums that the columns of one operand see, per slice, in `bins` equal parts of the full range.
class SumHistogram {
  public:
    static constexpr std::size_t bins =
        4096;  ///< one per integer up to 64 rows of 2-bit cells and 4-bit DACs

    explicit SumHistogram(double full_range) : full_range_(full_range) {}
    SumHistogram(double full_range, std::vector<std::vector<std::uint64_t>> counts)
        : full_range_(full_range), counts_(std::move(counts)) {}
    void add(std::uint32_t slice, std::span<const float> sums);
    /// Add the counts of a histogram of the same range.
    void add(const SumHistogram& other);
    /// Per slice, the smallest upper end of a bin that `percentile` % of the sums do not exceed.
    std::vector<double> tops(double percentile) const;

    double full_range() const { return full_range_; }
    const std::vector<std::vector<std::uint64_t>>& counts() const { return counts_; }  ///< [slice][bin]

  private:
    double full_range_;
    std::vector<std::vector<std::uint64_t>> counts_;  ///< [slice][bin]
};

/// Sums of a calibration, per layer and operand.
using SumHistograms = std::map<AdcRanges::Key, SumHistogram>;

}  // namespace crossweep::crossbar
