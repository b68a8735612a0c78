// Dotted paths of keys, such as transforms."(2, 0.25)".beta: splitting, joining, and the nearest known name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossweep::config {

/// Split at the dots outside quotes; a path that is not well formed comes back as its one and only segment.
std::vector<std::string> split_path(std::string_view path);

/// Join with dots; segments that are not bare TOML keys are quoted.
std::string join_path(std::span<const std::string> segments);

/// Text as a TOML basic string, with its quotes.
std::string quote_text(std::string_view text);

/// Number as the shortest text that reads back the same.
std::string number_text(double number);

/// The candidate that a typing error would most easily turn into `name`, or nothing if none is close.
/// Differences in case are free; a change, a missing or extra letter and a swap of neighbours cost one each.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace crossweep::config
