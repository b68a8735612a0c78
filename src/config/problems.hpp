// Where a value stands, and the list of everything found wrong with a study.
// All problems are collected before any is reported, so that one reading shows them all.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace crossweep::config {

/// A place in the study file (source 0), in an override (no line) or in a device file.
struct Place {
    std::size_t source = 0;
    std::uint32_t line = 1;
    std::uint32_t column = 1;

    auto operator<=>(const Place&) const = default;
    bool is_override() const { return line == 0; }
    /// All of an override.
    static Place of_override(std::size_t source) { return {source, 0, 0}; }
};

class Problems {
  public:
    explicit Problems(std::string file);

    /// Number of a further source, such as "--set device.g_max_S=2e-5" or a file; the same for the same name.
    std::size_t add_source(std::string name);
    /// `FILE:LINE:COLUMN`, or the override's text.
    std::string text(const Place& place) const;

    /// Add one problem; the same sentence at the same place is kept once.
    void add(const Place& place, std::string sentence);
    bool empty() const { return found_.empty(); }
    /// Throw ConfigError with all problems: those of the study in file order, then those of the overrides,
    /// then those of device files. Return if there are none.
    void throw_if_any() const;

  private:
    struct Problem {
        Place place;
        std::string sentence;
        bool operator==(const Problem&) const = default;
    };
    std::vector<std::string> sources_;
    std::vector<Problem> found_;
};

}  // namespace crossweep::config
