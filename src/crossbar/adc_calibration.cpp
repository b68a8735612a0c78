#include "crossweep/crossbar/adc_calibration.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crossweep/core/error.hpp"

namespace crossweep::crossbar {

void AdcRanges::set(LayerId layer, linalg::Role role, std::vector<double> top_of_slice) {
    tops_[{layer.value(), static_cast<std::uint32_t>(role)}] = std::move(top_of_slice);
}

const std::vector<double>& AdcRanges::of(LayerId layer, linalg::Role role) const {
    const auto found = tops_.find({layer.value(), static_cast<std::uint32_t>(role)});
    if (found == tops_.end()) throw InternalError("an operand has no calibrated ADC range");
    return found->second;
}

void SumHistogram::add(std::uint32_t slice, std::span<const float> sums) {
    if (counts_.size() <= slice) counts_.resize(slice + 1, std::vector<std::uint64_t>(bins + 1));
    const double bins_per_unit = static_cast<double>(bins) / full_range_;
    for (const float sum : sums) {
        // Bin b holds the sums above b - 1 and up to b parts of the range; integers shall not lose to
        // rounding.
        const double bin = std::ceil(static_cast<double>(sum) * bins_per_unit - 1e-6);
        // What is not a number counts at the top; the logits tell of it.
        const std::size_t kept = !(bin < static_cast<double>(bins)) ? bins
                                 : bin > 0                          ? static_cast<std::size_t>(bin)
                                                                    : 0;
        ++counts_[slice][kept];
    }
}

void SumHistogram::add(const SumHistogram& other) {
    CROSSWEEP_EXPECT(full_range_ == other.full_range_);
    if (counts_.size() < other.counts_.size())
        counts_.resize(other.counts_.size(), std::vector<std::uint64_t>(bins + 1));
    for (std::size_t slice = 0; slice < other.counts_.size(); ++slice) {
        for (std::size_t bin = 0; bin <= bins; ++bin) counts_[slice][bin] += other.counts_[slice][bin];
    }
}

std::vector<double> SumHistogram::tops(double percentile) const {
    std::vector<double> tops;
    for (const auto& counts : counts_) {
        const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
        // Nearest rank; what is a whole number but for rounding shall not reach for the next.
        const double wanted = std::ceil(percentile * static_cast<double>(total) / 100 - 1e-6);
        std::uint64_t reached = 0;
        std::size_t bin = 0;
        for (; bin < bins; ++bin) {
            reached += counts[bin];
            if (static_cast<double>(reached) >= wanted) break;
        }
        tops.push_back(full_range_ * static_cast<double>(bin) / static_cast<double>(bins));
    }
    return tops;
}

}  // namespace crossweep::crossbar
