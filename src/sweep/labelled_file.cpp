#include "labelled_file.hpp"

#include <algorithm>
#include <array>

namespace crossweep::sweep {
namespace {

constexpr std::array<std::string_view, 7> units{"S", "s", "J", "m2", "B", "ohm", "dB"};

/// The last word of `name` if it is a unit, which is then taken from the name; else nothing.
std::string_view take_unit(std::string_view& name) {
    const std::size_t before = name.rfind('_');
    if (before == std::string_view::npos) return {};
    const std::string_view last = name.substr(before + 1);
    if (std::ranges::find(units, last) == units.end()) return {};
    name = name.substr(0, before);
    return last;
}

}  // namespace

std::string unit_of(std::string_view name) {
    const std::string unit(take_unit(name));
    if (unit.empty()) return "1";
    if (!name.ends_with("_per")) return unit;
    name.remove_suffix(std::string_view("_per").size());
    const std::string_view of = take_unit(name);
    return (of.empty() ? "1" : std::string(of)) + "/" + unit;
}

}  // namespace crossweep::sweep
