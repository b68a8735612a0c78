// Axes to points: the cartesian product, each point checked.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <span>

#include "point_checks.hpp"
#include "sweep.hpp"

namespace crossweep::config {
namespace {

// assumption: a study that asks for more has a slip in an axis. A point takes about 3 kB here, as much again
// in the trial, and 12 kB while the results are described.
constexpr std::size_t most_points = 200'000;

std::size_t count_points(const std::vector<AxisValues>& axes) {
    std::size_t count = 1;
    for (const auto& axis : axes) {
        count *= axis.rows.size();
        if (count > most_points) return count;
    }
    return count;
}

void apply(const AxisValues& axis, std::size_t row, Settings& settings) {
    for (std::size_t k = 0; k < axis.keys.size(); ++k) {
        if (const auto& cell = axis.rows[row][k]) axis.keys[k].set(settings, cell->value);
    }
}

/// Where a point got the value of a key: its axis, the settings, or nowhere.
std::optional<Place> place_of(const std::string& path, const Point& point,
                              const std::vector<AxisValues>& axes, const Reading& reading) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
        const auto& row = axes[a].rows[point.index[a]];
        for (std::size_t k = 0; k < row.size(); ++k) {
            if (row[k] && axes[a].keys[k].path() == path) return row[k]->place;
        }
    }
    const auto given = reading.given.find(path);
    return given != reading.given.end() ? std::optional(given->second) : std::nullopt;
}

/// The place to blame: of the first of these keys that the study gives, or else of the listed point itself.
Place place_of_first(std::span<const std::string> paths, const Point& point,
                     const std::vector<AxisValues>& axes, const Reading& reading) {
    for (const auto& path : paths) {
        if (const auto place = place_of(path, point, axes, reading)) return *place;
    }
    // Listed points are the last axis.
    const bool is_listed = !axes.empty() && axes.back().listed;
    return is_listed ? axes.back().tables[point.index.back()] : Place{};
}

}  // namespace

Axis describe(const AxisValues& values) {
    Axis axis;
    for (const auto& key : values.keys) axis.keys.push_back(key.path());
    axis.name = values.listed ? "listed" : fmt::format("{}", fmt::join(axis.keys, "+"));
    for (const auto& row : values.rows) {
        auto& texts = axis.text.emplace_back();
        auto& numbers = axis.number.emplace_back();
        for (std::size_t k = 0; k < row.size(); ++k) {
            const auto& field = *values.keys[k].field;
            texts.push_back(row[k] ? value_text(field, row[k]->value) : "");
            numbers.push_back(row[k] && field.is_number() ? std::optional(std::get<double>(row[k]->value))
                                                          : std::nullopt);
        }
    }
    return axis;
}

void settle_base(const std::vector<AxisValues>& axes, Settings& base) {
    for (const auto& axis : axes) {
        if (!axis.listed) apply(axis, 0, base);
    }
}

std::vector<Point> expand(const std::vector<AxisValues>& axes, const Reading& reading, Problems& problems) {
    const auto count = count_points(axes);
    if (count > most_points) {
        problems.add(
            {}, fmt::format("the sweep spans more than {} points. Shorten its axes, or divide the study.",
                            most_points));
        return {};
    }
    std::vector<Point> points;
    points.reserve(count);
    std::vector<std::size_t> index(axes.size(), 0);
    for (std::size_t p = 0; p < count; ++p) {
        std::size_t rest = p;
        for (std::size_t a = axes.size(); a-- > 0;) {
            index[a] = rest % axes[a].rows.size();
            rest /= axes[a].rows.size();
        }
        auto& point = points.emplace_back(Point{reading.base, index});
        for (std::size_t a = 0; a < axes.size(); ++a) apply(axes[a], index[a], point.settings);
        check_point(point.settings, [&](std::span<const std::string> paths, std::string sentence) {
            problems.add(place_of_first(paths, point, axes, reading), std::move(sentence));
        });
    }
    return points;
}

}  // namespace crossweep::config
