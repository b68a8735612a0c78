#include "crossweep/config/hardware.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "crossweep/core/error.hpp"
#include "document.hpp"
#include "key_path.hpp"
#include "text_file.hpp"

namespace crossweep::config {
namespace {

using cost::Hardware;

/// What a key holds, and where it goes: exactly one of the members.
struct HardwareKey {
    std::string_view key;
    std::string_view meaning;
    std::string Hardware::*text = nullptr;
    double Hardware::*figure = nullptr;
    bool required = true;
};

constexpr std::array<HardwareKey, 8> keys{{
    {"description", "what the machine is, in words", &Hardware::description},
    {"source", "where its figures come from", &Hardware::source},
    {"peak_flop_per_s", "operations per second at most", nullptr, &Hardware::peak_flop_per_s},
    {"bandwidth_B_per_s", "bytes per second to and from memory", nullptr, &Hardware::bandwidth_B_per_s},
    {"vector_product_s", "seconds for one vector through a matrix that stays", nullptr,
     &Hardware::vector_product_s, false},
    {"die_area_m2", "area of its die in square metres", nullptr, &Hardware::die_area_m2, false},
    {"power_W", "power while it computes", nullptr, &Hardware::power_W, false},
    {"keeps", "what stays where it is multiplied", nullptr, nullptr, false},
}};

struct Kept {
    std::string_view word;
    bool Hardware::*flag;
};
constexpr std::array<Kept, 2> kept_words{
    {{"weights", &Hardware::keeps_weights}, {"cache", &Hardware::keeps_cache}}};

std::string missing_sentence(const HardwareKey& key, std::string_view problem) {
    return fmt::format("{} {} ({}). Give {}.", key.key, problem, key.meaning,
                       key.figure != nullptr ? "a number above 0" : "a text");
}

void read_figure(const HardwareKey& key, const Node& node, Hardware& hardware, Problems& problems) {
    const bool is_number = node.kind == Node::Kind::integer || node.kind == Node::Kind::real;
    const std::string_view complaint = !is_number                    ? "is not a number"
                                       : !std::isfinite(node.number) ? "is not finite"
                                       : node.number <= 0            ? "is not positive"
                                                                     : "";
    if (complaint.empty())
        hardware.*key.figure = node.number;
    else
        problems.add(node.place, missing_sentence(key, fmt::format("= {} {}", node.echo, complaint)));
}

void read_words(const HardwareKey& key, const Node& node, Hardware& hardware, Problems& problems) {
    if (node.kind == Node::Kind::text && !node.text.empty())
        hardware.*key.text = node.text;
    else
        problems.add(node.place, missing_sentence(key, node.echo == "\"\""
                                                           ? "is empty"
                                                           : fmt::format("= {} is not a text", node.echo)));
}

void read_kept(const HardwareKey& key, const Node& node, Hardware& hardware, Problems& problems) {
    const auto refuse = [&](const Node& at) {
        problems.add(at.place, fmt::format("{} = {} ({}). Give a list of \"weights\" and \"cache\".", key.key,
                                           at.echo, key.meaning));
    };
    if (node.kind != Node::Kind::list) return refuse(node);
    for (const Node& element : node.elements) {
        const auto known = std::ranges::find(kept_words, std::string_view(element.text), &Kept::word);
        if (element.kind == Node::Kind::text && known != kept_words.end())
            hardware.*known->flag = true;
        else
            refuse(element);
    }
}

void read_member(const Member& member, Hardware& hardware, Problems& problems) {
    const auto key = std::ranges::find(keys, std::string_view(member.key), &HardwareKey::key);
    if (key == keys.end()) {
        const std::vector<std::string> known = [] {
            std::vector<std::string> all;
            for (const HardwareKey& candidate : keys) all.emplace_back(candidate.key);
            return all;
        }();
        const auto near = nearest(member.key, known);
        const auto remedy = near ? fmt::format("; did you mean {}?", quote_text(*near))
                                 : fmt::format(". A hardware file has {}.", fmt::join(known, ", "));
        problems.add(member.place, fmt::format("unknown key {}{}", quote_text(member.key), remedy));
    } else if (key->figure != nullptr) {
        read_figure(*key, member.value, hardware, problems);
    } else if (key->text != nullptr) {
        read_words(*key, member.value, hardware, problems);
    } else {
        read_kept(*key, member.value, hardware, problems);
    }
}

}  // namespace

Hardware parse_hardware(const std::string& toml, const std::filesystem::path& file) {
    Problems problems(file.string());
    Hardware hardware;
    hardware.name = file.stem().string();
    if (const auto root = parse_file(toml, 0, problems)) {
        for (const Member& member : root->members) read_member(member, hardware, problems);
        for (const HardwareKey& key : keys) {
            if (key.required && root->find(std::string(key.key)) == nullptr)
                problems.add(Place{}, missing_sentence(key, "is missing"));
        }
    }
    problems.throw_if_any();
    return hardware;
}

Hardware load_hardware(const std::filesystem::path& file) {
    const auto found = read_text(file);
    if (!found.trouble.empty()) {
        throw DataError(fmt::format("{} cannot be read ({}). Give the path of a hardware file.",
                                    file.string(), found.trouble));
    }
    return parse_hardware(found.text, file);
}

}  // namespace crossweep::config
