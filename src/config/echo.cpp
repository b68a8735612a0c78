#include "echo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "key_path.hpp"
#include "named_tables.hpp"

namespace crossweep::config {
namespace {

void write_table(std::string_view table, const std::string& name, const Settings& settings,
                 std::string& out) {
    for (const auto& field : fields()) {
        if (field.table != table || field.kind == FieldKind::key_file) continue;
        out += fmt::format("{} = {}\n", field.key, value_toml(field, field.access.get(settings, name)));
    }
}

void write_columns(const AxisValues& axis, std::string& out) {
    for (std::size_t k = 0; k < axis.keys.size(); ++k) {
        out += fmt::format("{} = [", quote_text(axis.keys[k].path()));
        for (std::size_t i = 0; i < axis.rows.size(); ++i) {
            out += fmt::format("{}{}", i == 0 ? "" : ", ",
                               value_toml(*axis.keys[k].field, axis.rows[i][k]->value));
        }
        out += "]\n";
    }
}

void write_listed(const AxisValues& axis, std::string& out) {
    for (const auto& row : axis.rows) {
        out += "\n[[sweep.points]]\n";
        for (std::size_t k = 0; k < row.size(); ++k) {
            if (!row[k]) continue;
            out += fmt::format("{} = {}\n", quote_text(axis.keys[k].path()),
                               value_toml(*axis.keys[k].field, row[k]->value));
        }
    }
}

}  // namespace

std::string echo_study(const Settings& base, const std::vector<AxisValues>& axes) {
    std::string out;
    for (const auto& table : table_names()) {
        out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", table);
        write_table(table, "", base, out);
    }
    for (const auto& named : named_tables()) {
        for (const auto& name : named.given(base)) {
            out += fmt::format("\n[{}]\n", join_path(std::array{std::string(named.prefix), name}));
            write_table(named.table, name, base, out);
        }
    }
    // A zip of one key is a grid axis, unless it follows a true zip: there it would change places.
    bool in_grid = false;
    bool after_zip = false;
    for (const auto& axis : axes) {
        if (axis.listed) {
            write_listed(axis, out);
            continue;
        }
        after_zip = after_zip || axis.keys.size() > 1;
        if (after_zip) {
            out += "\n[[sweep.zip]]\n";
        } else if (!in_grid) {
            out += "\n[sweep.grid]\n";
            in_grid = true;
        }
        write_columns(axis, out);
    }
    return out;
}

}  // namespace crossweep::config
