#include "device_file.hpp"

#include <fmt/format.h>

#include "key_path.hpp"
#include "text_file.hpp"

namespace crossweep::config {
namespace {

/// A key that is none: what was most likely meant. In the file keys stand without the study's table.
std::string unknown_member_sentence(const Member& member, std::string_view table) {
    if (member.value.kind == Node::Kind::table) {
        return fmt::format(
            "[{}] is a table, and a device file has none. Write the keys of a device by "
            "themselves.",
            member.key);
    }
    const auto near = nearest(member.key, keys_of(table));
    return near ? fmt::format("unknown key {}; did you mean {}?", quote_text(member.key), quote_text(*near))
                : fmt::format("unknown key {}. A device file has the keys of [device].",
                              quote_text(member.key));
}

void read_member(const Key& file, const Member& member, Reading& reading, Context& context) {
    auto path = split_path(file.path());
    path.back() = member.key;
    const auto key = find_key(path);
    if (!key) {
        context.problems.add(member.place, unknown_member_sentence(member, file.field->table));
    } else if (key->field == file.field) {
        context.problems.add(member.place,
                             "a device file cannot name another one. Give all keys here, or use that file.");
    } else if (const auto value = check_value(*key->field, member.key, member.value, context)) {
        key->set(reading.base, *value);
        reading.given[key->path()] = member.value.place;
    } else {
        reading.failed.insert(key->path());
    }
}

}  // namespace

void read_device_file(const Key& file, const Member& member, Reading& reading, Context& context) {
    // What is no path is reported where the key itself is read.
    if (member.value.kind != Node::Kind::text || member.value.text.empty()) return;
    const auto path = located(member.value, context);
    const auto found = read_text(path);
    if (!found.trouble.empty()) {
        context.problems.add(member.value.place,
                             fmt::format("{} = {} cannot be read ({}: {}). Give a device file, relative to "
                                         "the study file or absolute.",
                                         file.path(), member.value.echo, path.string(), found.trouble));
        return;
    }
    const auto source = context.problems.add_source(path.string());
    const auto root = parse_file(found.text, source, context.problems);
    if (!root) return;
    for (const auto& of_device : root->members) read_member(file, of_device, reading, context);
}

}  // namespace crossweep::config
