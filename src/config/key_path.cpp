#include "key_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace crossweep::config {
namespace {

bool is_bare(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool is_bare(std::string_view segment) {
    return !segment.empty() && std::all_of(segment.begin(), segment.end(), [](char c) { return is_bare(c); });
}

/// Take one segment off the front of `rest`; false if it is not well formed.
bool take_segment(std::string_view& rest, std::string& segment) {
    segment.clear();
    if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'')) {
        const char quote = rest.front();
        std::size_t at = 1;
        for (; at < rest.size() && rest[at] != quote; ++at) {
            if (quote == '"' && rest[at] == '\\' && at + 1 < rest.size()) ++at;
            segment += rest[at];
        }
        if (at >= rest.size()) return false;
        rest.remove_prefix(at + 1);
        return true;
    }
    const auto length = std::min(rest.find('.'), rest.size());
    segment = rest.substr(0, length);
    rest.remove_prefix(length);
    return is_bare(segment);
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (auto& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

/// Optimal string alignment distance (Damerau 1964): a pair of letters is swapped at most once.
std::size_t typing_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> segments;
    auto rest = path;
    for (std::string segment;;) {
        if (!take_segment(rest, segment)) return {std::string(path)};
        segments.push_back(segment);
        if (rest.empty()) return segments;
        if (rest.front() != '.') return {std::string(path)};
        rest.remove_prefix(1);
    }
}

std::string join_path(std::span<const std::string> segments) {
    std::string path;
    for (const auto& segment : segments) {
        if (!path.empty()) path += '.';
        path += is_bare(segment) ? segment : quote_text(segment);
    }
    return path;
}

std::string quote_text(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            result += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        } else {
            result += c;
        }
    }
    return result + '"';
}

std::string number_text(double number) {
    return fmt::format("{}", number);
}

std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates) {
    // One slip for every four letters, but at least one: "std" may not become "seed".
    const std::size_t allowed = 1 + name.size() / 4;
    std::optional<std::string> best;
    std::size_t best_distance = allowed + 1;
    for (const auto& candidate : candidates) {
        const auto distance = typing_distance(lower_case(name), lower_case(candidate));
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace crossweep::config
