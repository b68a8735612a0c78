// [sweep] as the file gives it: grid, zip and listed points, checked key by key and value by value.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "key_path.hpp"
#include "sweep.hpp"

namespace crossweep::config {
namespace {

using Kind = Node::Kind;

/// Why a key may not vary between points and what to do; empty if it may.
std::string sweep_refusal(const Key& key) {
    const auto& field = *key.field;
    if (field.table == "run")
        return fmt::format("run settings change no result. Set it in [{}].", field.table);
    if (field.table == "study" || field.table == "data") {
        return fmt::format(
            "trials, seed and images belong to the study, so that its points stay paired. Set it in [{}].",
            field.table);
    }
    if (field.kind == FieldKind::key_file && field.table == technology_table)
        return "the stored study has the figures, not the file. Set it in [technology], a study for each "
               "file.";
    if (field.kind == FieldKind::key_file) {
        return "devices are compared by their names. Give each file to a [devices.NAME] and sweep "
               "device_of.rest.";
    }
    const auto* tables = named_tables_of(field);
    const auto* reserved = tables != nullptr ? tables->find_reserved(key.name) : nullptr;
    return reserved != nullptr ? fmt::format("{}. {}", reserved->why, reserved->sweep_remedy) : "";
}

class AxisReader {
  public:
    AxisReader(const Reading& reading, Context& context) : reading_(reading), context_(context) {}

    void read_grid(const Member& grid);
    void read_zip(const Member& zip);
    void read_points(const Member& points);
    std::vector<AxisValues> take() { return std::move(axes_); }

  private:
    /// The key of an axis, if it exists and may vary. `part` is where it stands: "grid", "zip" or "points".
    std::optional<Key> check_key(const Member& member, const std::string& part);
    /// Refuse a key that another axis has, or that an override sets.
    bool claim(const Key& key, const Place& place, const std::string& part);
    /// The values of one key, or nothing if any is wrong.
    std::optional<std::vector<Cell>> check_values(const Key& key, const Member& member);
    void read_zip_table(const Node& table);
    /// Append one listed point; false if anything in it is wrong.
    bool read_point(const Node& table, AxisValues& axis);
    /// Keep an axis unless one of its rows repeats another.
    void add(AxisValues axis);
    void report(const Place& place, std::string sentence) {
        context_.problems.add(place, std::move(sentence));
    }

    const Reading& reading_;
    Context& context_;
    std::vector<AxisValues> axes_;
    std::map<std::string, Place> claimed_;
};

std::optional<Key> AxisReader::check_key(const Member& member, const std::string& part) {
    const auto segments = split_path(member.key);
    const auto key = find_key(segments);
    if (!key) {
        report(member.place, unknown_key_sentence(segments));
        return std::nullopt;
    }
    if (const auto why = sweep_refusal(*key); !why.empty()) {
        report(member.place, fmt::format("{} cannot be swept: {}", key->path(), why));
        return std::nullopt;
    }
    if (const auto* tables = named_tables_of(*key->field)) {
        const auto& names = context_.names.at(tables->prefix);
        if (std::find(names.begin(), names.end(), key->name) == names.end()) {
            report(member.place, unknown_name_sentence(*tables, quote_text(key->name), key->name, names));
            return std::nullopt;
        }
    }
    if (!claim(*key, member.place, part)) return std::nullopt;
    return key;
}

bool AxisReader::claim(const Key& key, const Place& place, const std::string& part) {
    const auto path = key.path();
    if (const auto given = reading_.given.find(path);
        given != reading_.given.end() && given->second.is_override()) {
        const auto remedy =
            part == "grid" ? fmt::format("Override the axis, sweep.grid.{}=[...], instead.", quote_text(path))
                           : fmt::format("Change [[sweep.{}]] in the study instead.", part);
        report(given->second, fmt::format("{} is varied by the sweep, so this value would have no effect. {}",
                                          path, remedy));
    }
    const auto [first, is_new] = claimed_.emplace(path, place);
    if (is_new) return true;
    report(place, fmt::format("{} is on two axes (the other is at {}). Keep one of them.", path,
                              context_.problems.text(first->second)));
    return false;
}

std::optional<std::vector<Cell>> AxisReader::check_values(const Key& key, const Member& member) {
    const auto path = key.path();
    if (member.value.kind != Kind::list) {
        report(member.value.place,
               fmt::format("{} = {} is not a list, and an axis is a list of values. "
                           "Write [{}], or set the key in [{}].",
                           path, member.value.echo, member.value.echo, path.substr(0, path.rfind('.'))));
        return std::nullopt;
    }
    if (member.value.elements.empty()) {
        report(member.value.place, fmt::format("{} = [] has no values, so the study would have no points. "
                                               "Give at least one value, or remove the axis.",
                                               path));
        return std::nullopt;
    }
    std::vector<Cell> cells;
    for (const auto& element : member.value.elements) {
        if (auto value = check_value(key, element, context_))
            cells.push_back({std::move(*value), element.place});
    }
    if (cells.size() != member.value.elements.size()) return std::nullopt;
    return cells;
}

/// Keys and values of one row, "device.g_max_S = 1e-05, device.clamp = \"none\"".
std::string row_text(const AxisValues& axis, std::size_t i) {
    std::vector<std::string> texts;
    for (std::size_t k = 0; k < axis.keys.size(); ++k) {
        const auto& cell = axis.rows[i][k];
        if (!cell) continue;
        texts.push_back(
            fmt::format("{} = {}", axis.keys[k].path(), value_toml(*axis.keys[k].field, cell->value)));
    }
    return texts.empty() ? "a point without keys" : fmt::format("{}", fmt::join(texts, ", "));
}

void AxisReader::add(AxisValues axis) {
    for (std::size_t i = 0; i < axis.rows.size(); ++i) {
        const auto here = axis.rows.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(axis.rows.begin(), here, *here) == here) continue;
        const auto place = axis.listed ? axis.tables[i] : axis.rows[i].front()->place;
        report(place, fmt::format("{} stands twice on this axis. Remove one (trials repeat a point).",
                                  row_text(axis, i)));
        return;
    }
    axes_.push_back(std::move(axis));
}

void AxisReader::read_grid(const Member& grid) {
    if (grid.value.kind != Kind::table) {
        report(grid.place,
               fmt::format("sweep.grid = {} is not a table. Write [sweep.grid] with one key = [values] "
                           "per axis.",
                           grid.value.echo));
        return;
    }
    for (const auto& member : grid.value.members) {
        const auto key = check_key(member, "grid");
        if (!key) continue;
        const auto cells = check_values(*key, member);
        if (!cells) continue;
        AxisValues axis;
        axis.keys = {*key};
        for (const auto& cell : *cells) axis.rows.push_back({cell});
        add(std::move(axis));
    }
}

void AxisReader::read_zip(const Member& zip) {
    if (zip.value.kind != Kind::list) {
        report(zip.place, "sweep.zip is not a list of tables. Write [[sweep.zip]], once for each axis.");
        return;
    }
    for (const auto& table : zip.value.elements) read_zip_table(table);
}

void AxisReader::read_zip_table(const Node& table) {
    if (table.members.empty()) {
        const bool is_table = table.kind == Kind::table;
        report(table.place, fmt::format("{}. Write [[sweep.zip]] with key = [values] lines of one length.",
                                        is_table ? "this zip names no key" : table.echo + " is not a table"));
        return;
    }
    AxisValues axis;
    bool is_good = true;
    for (const auto& member : table.members) {
        const auto key = check_key(member, "zip");
        const auto cells = key ? check_values(*key, member) : std::nullopt;
        if (!cells) {
            is_good = false;
            continue;
        }
        if (axis.keys.empty()) axis.rows.resize(cells->size());
        if (cells->size() != axis.rows.size()) {
            report(member.place,
                   fmt::format(
                       "{} has {} values and {} has {} (zipped keys walk together). Give as many of both.",
                       key->path(), cells->size(), axis.keys.front().path(), axis.rows.size()));
            is_good = false;
            continue;
        }
        axis.keys.push_back(*key);
        for (std::size_t i = 0; i < cells->size(); ++i) axis.rows[i].push_back((*cells)[i]);
    }
    if (is_good) add(std::move(axis));
}

bool AxisReader::read_point(const Node& table, AxisValues& axis) {
    if (table.kind != Kind::table) {
        report(table.place,
               fmt::format("{} is not a table. Write [[sweep.points]], once for each point.", table.echo));
        return false;
    }
    std::vector<std::optional<Cell>> row(axis.keys.size());
    bool is_good = true;
    for (const auto& member : table.members) {
        const auto known = std::find_if(axis.keys.begin(), axis.keys.end(),
                                        [&](const Key& key) { return key.path() == member.key; });
        const auto column = static_cast<std::size_t>(known - axis.keys.begin());
        if (known == axis.keys.end()) {
            const auto key = check_key(member, "points");
            if (!key) {
                is_good = false;
                continue;
            }
            axis.keys.push_back(*key);
            row.emplace_back();
        } else if (row[column]) {
            report(member.place, fmt::format("{} stands twice in this point. Keep one of them.", member.key));
        }
        auto value = check_value(axis.keys[column], member.value, context_);
        is_good = is_good && value;
        if (value) row[column] = Cell{std::move(*value), member.value.place};
    }
    axis.rows.push_back(std::move(row));
    axis.tables.push_back(table.place);
    return is_good;
}

void AxisReader::read_points(const Member& points) {
    if (points.value.kind != Kind::list || points.value.elements.empty()) {
        report(points.place,
               "sweep.points is not a list of tables. Write [[sweep.points]], once for each point.");
        return;
    }
    AxisValues axis;
    axis.listed = true;
    bool is_good = true;
    for (const auto& table : points.value.elements) is_good = read_point(table, axis) && is_good;
    // Early points do not know the keys that later ones bring.
    for (auto& row : axis.rows) row.resize(axis.keys.size());
    if (is_good && axis.keys.empty()) {
        report(points.place,
               "the listed points name no key. Give each [[sweep.points]] the keys that it changes.");
    } else if (is_good) {
        add(std::move(axis));
    }
}

}  // namespace

bool names_key(const Node& root, const std::string& path) {
    const auto* sweep = root.find("sweep");
    if (sweep == nullptr) return false;
    return std::any_of(sweep->value.members.begin(), sweep->value.members.end(), [&](const Member& part) {
        const auto& tables = part.value.elements;
        return part.value.find(path) != nullptr ||
               std::any_of(tables.begin(), tables.end(),
                           [&](const Node& table) { return table.find(path) != nullptr; });
    });
}

std::vector<AxisValues> read_axes(const Node& root, const Reading& reading, Context& context) {
    const auto* sweep = root.find("sweep");
    if (sweep == nullptr) return {};
    if (sweep->value.kind != Kind::table) {
        context.problems.add(sweep->place,
                             fmt::format("sweep = {} is not a table. Write [sweep.grid], [[sweep.zip]] or "
                                         "[[sweep.points]].",
                                         sweep->value.echo));
        return {};
    }
    const std::vector<std::string> parts{"grid", "zip", "points"};
    for (const auto& member : sweep->value.members) {
        if (std::find(parts.begin(), parts.end(), member.key) != parts.end()) continue;
        const auto near = nearest(member.key, parts);
        context.problems.add(
            member.place,
            fmt::format("unknown key \"sweep.{}\"{}", member.key,
                        near ? fmt::format("; did you mean \"sweep.{}\"?", *near)
                             : ". A sweep has [sweep.grid], [[sweep.zip]] and [[sweep.points]]."));
    }
    AxisReader reader(reading, context);
    if (const auto* grid = sweep->value.find("grid")) reader.read_grid(*grid);
    if (const auto* zip = sweep->value.find("zip")) reader.read_zip(*zip);
    if (const auto* points = sweep->value.find("points")) reader.read_points(*points);
    return reader.take();
}

}  // namespace crossweep::config
