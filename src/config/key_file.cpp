#include "key_file.hpp"

#include <fmt/format.h>

#include "key_path.hpp"
#include "text_file.hpp"

namespace crossweep::config {
namespace {

/// The table whose keys a file holds, as a study names the first of its kind: device, technology.
std::string_view table_of(const Field& file) {
    return file.table == devices_table ? "device" : file.table;
}

/// A key that is none: what was most likely meant. In the file keys stand without the study's table.
std::string unknown_member_sentence(const Member& member, const Field& file) {
    if (member.value.kind == Node::Kind::table) {
        return fmt::format(
            "[{}] is a table, and a {} has none. Write the keys of a {} by "
            "themselves.",
            member.key, file.quantity, table_of(file));
    }
    const auto near = nearest(member.key, keys_of(file.table));
    return near ? fmt::format("unknown key {}; did you mean {}?", quote_text(member.key), quote_text(*near))
                : fmt::format("unknown key {}. A {} has the keys of [{}].", quote_text(member.key),
                              file.quantity, table_of(file));
}

void read_member(const Key& file, const Member& member, Reading& reading, Context& context) {
    auto path = split_path(file.path());
    path.back() = member.key;
    const auto key = find_key(path);
    if (!key) {
        context.problems.add(member.place, unknown_member_sentence(member, *file.field));
    } else if (key->field == file.field) {
        context.problems.add(member.place,
                             fmt::format("a {} cannot name another one. Give all keys here, or use that "
                                         "file.",
                                         file.field->quantity));
    } else if (const auto value = check_value(*key->field, member.key, member.value, context)) {
        key->set(reading.base, *value);
        reading.given[key->path()] = member.value.place;
    } else {
        reading.failed.insert(key->path());
    }
}

/// A technology without a figure would silently have that of another one.
void expect_all_keys(const Field& file, const Node& root, std::size_t source, Context& context) {
    for (const Field& field : fields()) {
        const bool is_needed = field.table == file.table && field.kind != FieldKind::key_file;
        if (!is_needed || root.find(std::string(field.key)) != nullptr) continue;
        context.problems.add(Place{.source = source},
                             fmt::format("{} is missing ({}). Give it: a {} has all keys of [{}].", field.key,
                                         field.quantity, file.quantity, table_of(file)));
    }
}

}  // namespace

void read_key_file(const Key& file, const Member& member, Reading& reading, Context& context) {
    // What is no path is reported where the key itself is read.
    if (member.value.kind != Node::Kind::text || member.value.text.empty()) return;
    const auto path = located(member.value, context);
    const auto found = read_text(path);
    if (!found.trouble.empty()) {
        context.problems.add(
            member.value.place,
            fmt::format("{} = {} cannot be read ({}: {}). Give a {}, relative to "
                        "the study file or absolute.",
                        file.path(), member.value.echo, path.string(), found.trouble, file.field->quantity));
        return;
    }
    const auto source = context.problems.add_source(path.string());
    const auto root = parse_file(found.text, source, context.problems);
    if (!root) return;
    for (const auto& of_table : root->members) read_member(file, of_table, reading, context);
    if (file.field->table == technology_table) expect_all_keys(*file.field, *root, source, context);
}

}  // namespace crossweep::config
