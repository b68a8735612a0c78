// What the rows of the table of fields are made of: access to members of Settings, and ranges.
#pragma once

#include <type_traits>

#include "fields.hpp"

namespace crossweep::config {

template <class Member>
Value to_value(const Member& member) {
    if constexpr (std::is_enum_v<Member> || std::is_arithmetic_v<Member>) {
        return static_cast<double>(member);
    } else if constexpr (std::is_same_v<Member, std::filesystem::path>) {
        return member.string();
    } else {
        return member;
    }
}

template <class Member>
void from_value(Member& member, const Value& value) {
    if constexpr (std::is_enum_v<Member>) {
        member = static_cast<Member>(static_cast<int>(std::get<double>(value)));
    } else if constexpr (std::is_arithmetic_v<Member>) {
        member = static_cast<Member>(std::get<double>(value));
    } else if constexpr (std::is_same_v<Member, std::filesystem::path>) {
        member = std::get<std::string>(value);
    } else {
        member = std::get<Member>(value);
    }
}

/// Access to a member of Settings, or to a member of a member.
template <auto... member>
constexpr Access at() {
    return {[](const Settings& settings, const std::string&) { return to_value((settings.*....*member)); },
            [](Settings& settings, const std::string&, const Value& value) {
                from_value((settings.*....*member), value);
            }};
}

/// Access to one operand of a PerOperand of Settings.
template <auto member, linalg::Role role>
constexpr Access at_operand() {
    constexpr auto index = static_cast<std::size_t>(role);
    return {[](const Settings& settings, const std::string&) { return to_value((settings.*member)[index]); },
            [](Settings& settings, const std::string&, const Value& value) {
                from_value((settings.*member)[index], value);
            }};
}

/// Of a file of keys, which has no value of its own.
inline constexpr Access of_no_value{
    [](const Settings&, const std::string&) -> Value { return std::string(); },
    [](Settings&, const std::string&, const Value&) {}};

constexpr Range above(double low) {
    return {.low = low, .low_open = true};
}
constexpr Range at_least(double low) {
    return {.low = low};
}
constexpr Range from_to(double low, double high) {
    return {.low = low, .high = high};
}
constexpr Range above_to(double low, double high) {
    return {.low = low, .high = high, .low_open = true};
}
constexpr Range between(double low, double high) {
    return {.low = low, .high = high, .low_open = true, .high_open = true};
}
constexpr Range or_zero(Range range) {
    range.or_zero = true;
    return range;
}

constexpr double largest_count = std::numeric_limits<std::uint32_t>::max();
constexpr Range any_count = from_to(0, largest_count);
constexpr Range positive_count = from_to(1, largest_count);
constexpr Range sigma = from_to(0, 10);
constexpr Range fraction = from_to(0, 1);

// The rows, module by module; fields() puts them together.

/// Of [device] or of [devices.NAME]: the same rows, whose access takes no name or that of the device.
std::vector<Field> device_fields(std::string_view table);
std::vector<Field> crossbar_fields();
std::vector<Field> device_of_fields();
std::vector<Field> fidelity_of_fields();
std::vector<Field> transform_fields();
std::vector<Field> technology_fields();

}  // namespace crossweep::config
