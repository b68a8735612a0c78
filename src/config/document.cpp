#include "document.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "key_path.hpp"

namespace crossweep::config {
namespace {

/// `origin` is the top of a file, which also stands for nodes that toml++ makes up, or a whole override.
Place place_of(const toml::source_region& region, const Place& origin) {
    if (origin.is_override() || region.begin.line == 0) return origin;
    return {origin.source, region.begin.line, region.begin.column};
}

bool by_place(const Member& a, const Member& b) {
    return a.place < b.place;
}

Node convert(const toml::node& from, const Place& origin);

void convert_table(const toml::table& from, const Place& origin, Node& node) {
    node.kind = Node::Kind::table;
    node.echo = "{...}";
    for (const auto& [key, value] : from) {
        node.members.push_back(
            {std::string(key.str()), place_of(key.source(), origin), convert(value, origin)});
    }
    // toml++ keeps tables sorted by name; the file's order is what a reader sees.
    std::stable_sort(node.members.begin(), node.members.end(), by_place);
}

void convert_list(const toml::array& from, const Place& origin, Node& node) {
    node.kind = Node::Kind::list;
    std::vector<std::string> echoes;
    for (const auto& element : from) {
        node.elements.push_back(convert(element, origin));
        echoes.push_back(node.elements.back().echo);
    }
    node.echo = fmt::format("[{}]", fmt::join(echoes, ", "));
}

void convert_date(const toml::node& from, Node& node) {
    node.kind = Node::Kind::date;
    std::ostringstream text;
    from.visit([&](const auto& value) {
        if constexpr (toml::is_chronological<decltype(value)>) text << value.get();
    });
    node.echo = text.str();
}

Node convert(const toml::node& from, const Place& origin) {
    Node node;
    node.place = place_of(from.source(), origin);
    if (const auto* table = from.as_table()) {
        convert_table(*table, origin, node);
    } else if (const auto* list = from.as_array()) {
        convert_list(*list, origin, node);
    } else if (const auto* text = from.as_string()) {
        node.kind = Node::Kind::text;
        node.text = text->get();
        node.echo = quote_text(node.text);
    } else if (const auto* integer = from.as_integer()) {
        node.kind = Node::Kind::integer;
        node.number = static_cast<double>(integer->get());
        node.echo = fmt::format("{}", integer->get());
    } else if (const auto* real = from.as_floating_point()) {
        node.kind = Node::Kind::real;
        node.number = real->get();
        node.echo = number_text(node.number);
    } else if (const auto* truth = from.as_boolean()) {
        node.kind = Node::Kind::boolean;
        node.echo = truth->get() ? "true" : "false";
    } else {
        convert_date(from, node);
    }
    return node;
}

/// Append the leaves below `table` with their whole paths. An empty table is a leaf: it is for the reader to
/// refuse.
void collect_leaves(const Node& table, const std::vector<std::string>& prefix, std::vector<Member>& leaves) {
    for (const auto& member : table.members) {
        auto path = prefix.empty() ? split_path(member.key) : prefix;
        if (!prefix.empty()) path.push_back(member.key);
        if (member.value.kind == Node::Kind::table && !member.value.members.empty()) {
            collect_leaves(member.value, path, leaves);
        } else {
            leaves.push_back({join_path(path), member.place, member.value});
        }
    }
}

void flatten(Node& table) {
    if (table.kind != Node::Kind::table) return;
    std::vector<Member> leaves;
    collect_leaves(table, {}, leaves);
    std::stable_sort(leaves.begin(), leaves.end(), by_place);
    table.members = std::move(leaves);
}

void flatten_sweep(Node& root) {
    for (auto& top : root.members) {
        if (top.key != "sweep") continue;
        for (auto& part : top.value.members) {
            if (part.key == "grid") flatten(part.value);
            if (part.key == "zip" || part.key == "points") {
                for (auto& element : part.value.elements) flatten(element);
            }
        }
    }
}

Node parse_text(const std::string& toml, const Place& origin) {
    auto root = convert(toml::parse(std::string_view(toml)), origin);
    flatten_sweep(root);
    return root;
}

std::string syntax_sentence(const toml::parse_error& error) {
    // toml++ ends some descriptions with the offending line break; a sentence is one line.
    std::string text;
    for (const char c : error.description()) text += c == '\n' ? ' ' : c;
    if (text.starts_with("Error ")) text = "error " + text.substr(6);
    return fmt::format("this is not TOML: {}.", text);
}

void merge(Node& into, Node from) {
    for (auto& member : from.members) {
        const auto old = std::find_if(into.members.begin(), into.members.end(),
                                      [&](const Member& candidate) { return candidate.key == member.key; });
        if (old == into.members.end()) {
            into.members.push_back(std::move(member));
        } else if (old->value.kind == Node::Kind::table && member.value.kind == Node::Kind::table) {
            merge(old->value, std::move(member.value));
        } else {
            *old = std::move(member);
        }
    }
}

/// Where the key ends: the first '=' outside quotes.
std::size_t find_equals(const std::string& text) {
    char quote = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (quote == 0 && c == '=') return at;
        if (quote == '"' && c == '\\') {
            ++at;
        } else if (quote != 0) {
            if (c == quote) quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        }
    }
    return std::string::npos;
}

/// One "KEY = VALUE" line as a tree, or nothing if it is not exactly that.
std::optional<Node> parse_line(const std::string& key, const std::string& value, const Place& place) {
    // A line break would smuggle in a second assignment.
    if ((key + value).find_first_of("\n\r") != std::string::npos) return std::nullopt;
    try {
        auto tree = parse_text(key + " = " + value, place);
        if (tree.members.size() == 1) return tree;
    } catch (const toml::parse_error&) {
    }
    return std::nullopt;
}

std::optional<Node> parse_override(const std::string& text, std::size_t source, Problems& problems) {
    const auto place = Place::of_override(source);
    const auto equals = find_equals(text);
    if (equals == std::string::npos) {
        problems.add(place, "this is not key=value. Write for example device.g_max_S=2e-5.");
        return std::nullopt;
    }
    const auto key = text.substr(0, equals);
    const auto value = text.substr(equals + 1);
    if (!parse_line(key, "0", place)) {
        problems.add(place, fmt::format("{} is not a key (dotted words, others in quotes). "
                                        "Write for example device.g_max_S=2e-5.",
                                        quote_text(key)));
        return std::nullopt;
    }
    if (auto tree = parse_line(key, value, place)) return tree;
    const auto first = value.find_first_not_of(" \t");
    const bool is_toml =
        first != std::string::npos && std::string_view("[{\"'").find(value[first]) != std::string::npos;
    if (!is_toml) return parse_line(key, quote_text(value), place);
    problems.add(place,
                 fmt::format("{} is not a TOML value. Close its brackets and quotes, and mind those that "
                             "the shell takes away.",
                             quote_text(value)));
    return std::nullopt;
}

}  // namespace

const Member* Node::find(const std::string& key) const {
    const auto found =
        std::find_if(members.begin(), members.end(), [&](const Member& member) { return member.key == key; });
    return found == members.end() ? nullptr : &*found;
}

std::optional<Node> parse_file(const std::string& toml, std::size_t source, Problems& problems) {
    const Place top{source, 1, 1};
    try {
        return parse_text(toml, top);
    } catch (const toml::parse_error& error) {
        problems.add(place_of(error.source(), top), syntax_sentence(error));
        return std::nullopt;
    }
}

Node parse_document(const std::string& toml, const std::vector<std::string>& overrides, Problems& problems) {
    auto study = parse_file(toml, 0, problems);
    const bool is_toml = study.has_value();
    auto root = is_toml ? std::move(*study) : Node{};
    for (const auto& text : overrides) {
        const auto source = problems.add_source("--set " + text);
        if (auto tree = parse_override(text, source, problems)) merge(root, std::move(*tree));
    }
    if (!is_toml) problems.throw_if_any();
    return root;
}

}  // namespace crossweep::config
