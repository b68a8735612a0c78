// The study file as a tree in file order, every node with its place, overrides applied.
// Knows TOML and the paths under [sweep]; what the keys mean is decided elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "problems.hpp"

namespace crossweep::config {

struct Member;

struct Node {
    enum class Kind { text, integer, real, boolean, date, list, table };

    Kind kind = Kind::table;
    std::string text;             ///< contents of a text
    std::string echo;             ///< as messages quote it: "none" with quotes, 3, [1, 2], {...}
    double number = 0;            ///< of integer and real
    std::vector<Node> elements;   ///< of a list
    std::vector<Member> members;  ///< of a table, in file order
    Place place;

    /// The member of that name, or null.
    const Member* find(const std::string& key) const;
};

/// Under [sweep.grid], [[sweep.zip]] and [[sweep.points]] the key is a whole dotted path (join_path's form),
/// whether the file quotes it or nests tables. Everywhere else it is one segment.
struct Member {
    std::string key;
    Place place;
    Node value;
};

/// Parse one file, which is the source of that number. If it is not TOML, that goes to `problems`.
std::optional<Node> parse_file(const std::string& toml, std::size_t source, Problems& problems);

/// Parse TOML and apply "key=value" overrides in turn: tables merge, everything else is replaced. A malformed
/// override goes to `problems` and is left out; a malformed file throws ConfigError at once, since nothing
/// more can be said.
Node parse_document(const std::string& toml, const std::vector<std::string>& overrides, Problems& problems);

}  // namespace crossweep::config
