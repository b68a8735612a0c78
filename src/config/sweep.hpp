// [sweep] to axes, and axes to points.
#pragma once

#include <optional>
#include <vector>

#include "reader.hpp"

namespace crossweep::config {

/// One value on an axis, with the place that gave it.
struct Cell {
    Value value;
    Place place;
    bool operator==(const Cell& other) const { return value == other.value; }
};

/// An axis as read: what Axis shows as text, as values.
struct AxisValues {
    bool listed = false;
    std::vector<Place> tables;  ///< [value] of listed points: where each begins
    std::vector<Key> keys;
    std::vector<std::vector<std::optional<Cell>>>
        rows;  ///< [value][key]; absent where a listed point leaves it
};

/// Read the axes: grid, zips, listed points, each in file order. What is wrong goes to the context's
/// problems.
std::vector<AxisValues> read_axes(const Node& root, const Reading& reading, Context& context);

/// Whether any part of [sweep] names this key, well formed or not.
bool names_key(const Node& root, const std::string& path);

/// Texts and numbers of an axis.
Axis describe(const AxisValues& values);

/// Set the base to the first value of each grid and zip axis, so that studies with the same points echo
/// alike.
void settle_base(const std::vector<AxisValues>& axes, Settings& base);

/// The cartesian product of the axes, row-major with the last axis fastest; checks what holds between the
/// keys of one point. More points than memory should hold are a problem too, and then there are none.
std::vector<Point> expand(const std::vector<AxisValues>& axes, const Reading& reading, Problems& problems);

}  // namespace crossweep::config
