#include "problems.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crossweep/core/error.hpp"

namespace crossweep::config {

Problems::Problems(std::string file) : sources_{std::move(file)} {}

std::size_t Problems::add_source(std::string name) {
    const auto known = std::find(sources_.begin(), sources_.end(), name);
    if (known != sources_.end()) return static_cast<std::size_t>(known - sources_.begin());
    sources_.push_back(std::move(name));
    return sources_.size() - 1;
}

std::string Problems::text(const Place& place) const {
    const auto& name = sources_.at(place.source);
    return place.is_override() ? name : fmt::format("{}:{}:{}", name, place.line, place.column);
}

void Problems::add(const Place& place, std::string sentence) {
    Problem problem{place, std::move(sentence)};
    if (std::find(found_.begin(), found_.end(), problem) == found_.end())
        found_.push_back(std::move(problem));
}

void Problems::throw_if_any() const {
    if (found_.empty()) return;
    auto sorted = found_;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Problem& a, const Problem& b) { return a.place < b.place; });
    std::vector<std::string> sentences;
    sentences.reserve(sorted.size());
    for (const auto& problem : sorted) {
        sentences.push_back(fmt::format("{}: {}", text(problem.place), problem.sentence));
    }
    throw ConfigError(std::move(sentences));
}

}  // namespace crossweep::config
