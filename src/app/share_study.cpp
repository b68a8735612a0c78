#include "share_study.hpp"

#include <fmt/format.h>

#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "crossweep/core/error.hpp"

namespace crossweep::app {
namespace {

using Json = nlohmann::json;

/// What one rank tells the others: a description, and the bytes that it is about.
struct Parcel {
    Json label;
    std::vector<SharedBytes> contents;
    int copies = 1, nodes = 1;  ///< as SharedParts has them
};

Parcel parcel_of_error(ExitCode code, const char* message) {
    return {{{"exit_code", static_cast<int>(code)}, {"error", message}}, {}, 1, 1};
}

Parcel pack_or_report(const std::function<Parcel()>& pack) {
    try {
        return pack();
    } catch (const Error& error) {
        return parcel_of_error(error.exit_code(), error.what());
    } catch (const std::exception& error) {
        return parcel_of_error(ExitCode::internal, error.what());
    }
}

/// What `pack` gives on rank 0, on all ranks.
Parcel share(comm::Communicator& comm, const std::function<Parcel()>& pack) {
    std::vector<SharedBytes> parts;
    if (comm.rank() == 0) {
        Parcel parcel = pack_or_report(pack);
        parts.push_back(own_bytes(Json::to_cbor(parcel.label)));
        parts.insert(parts.end(), parcel.contents.begin(), parcel.contents.end());
    }
    comm::SharedParts shared = comm.share(std::move(parts));
    const auto label = shared.parts.front().bytes;
    Parcel parcel{Json::from_cbor(reinterpret_cast<const std::uint8_t*>(label.data()),
                                  reinterpret_cast<const std::uint8_t*>(label.data()) + label.size()),
                  {shared.parts.begin() + 1, shared.parts.end()},
                  shared.copies,
                  shared.nodes};
    if (parcel.label.contains("error")) {
        throw Error(static_cast<ExitCode>(parcel.label["exit_code"].get<int>()),
                    parcel.label["error"].get<std::string>());
    }
    return parcel;
}

void warn_of_copies(const Parcel& parcel) {
    fmt::print(
        stderr,
        "crossweep: warning: ranks of a node cannot map each other's memory (in containers of their own "
        "they do not see the same /dev/shm): weights and images are held {} times on {} node{}. Give the "
        "containers the node's /dev/shm.\n",
        parcel.copies, parcel.nodes, parcel.nodes == 1 ? "" : "s");
}

Json label_of(const io::ImageSet& set) {
    const ContentHash whole = set.content_hash();
    return {{"extents", {set.count, set.height, set.width, set.channels}},
            {"held", set.held},
            {"labels", set.labels},
            {"mean", set.mean},
            {"std", set.std},
            {"whole", {whole.high, whole.low}}};
}

io::ImageSet image_set(const Json& label, SharedBytes pixels) {
    io::ImageSet set;
    const auto extents = label.at("extents").get<std::array<std::size_t, 4>>();
    std::tie(set.count, set.height, set.width, set.channels) = std::tuple_cat(extents);
    set.pixels = std::move(pixels);
    label.at("held").get_to(set.held);
    label.at("labels").get_to(set.labels);
    label.at("mean").get_to(set.mean);
    label.at("std").get_to(set.std);
    const auto whole = label.at("whole").get<std::array<std::uint64_t, 2>>();
    set.whole = ContentHash{whole[0], whole[1]};
    return set;
}

/// Texts are small: they travel as they are.
Json label_of(const io::TextSet& set) {
    return {{"extents", {set.count, set.length}},
            {"tokens", set.tokens},
            {"mask", set.mask},
            {"segments", set.segments},
            {"labels", set.labels},
            {"characters_per_token", set.characters_per_token},
            {"vocabulary", set.vocabulary}};
}

io::TextSet text_set(const Json& label) {
    io::TextSet set;
    std::tie(set.count, set.length) = std::tuple_cat(label.at("extents").get<std::array<std::size_t, 2>>());
    label.at("tokens").get_to(set.tokens);
    label.at("mask").get_to(set.mask);
    label.at("segments").get_to(set.segments);
    label.at("labels").get_to(set.labels);
    label.at("characters_per_token").get_to(set.characters_per_token);
    label.at("vocabulary").get_to(set.vocabulary);
    return set;
}

/// As the first of the contents, the pixels of the images `used`, or nothing.
void pack_inputs(const trial::InputSet& inputs, std::vector<std::uint32_t> used, Parcel& packed) {
    if (inputs.images() == nullptr) {
        packed.label["texts"] = label_of(*inputs.texts());
        packed.contents.push_back(own_bytes(std::vector<std::byte>()));
        return;
    }
    const io::ImageSet& all = *inputs.images();
    const io::ImageSet held = used.size() < all.count ? all.holding(std::move(used)) : all;
    packed.label["images"] = label_of(held);
    packed.contents.push_back(held.pixels);
}

trial::InputSet unpack_inputs(const Parcel& parcel) {
    if (parcel.label.contains("texts")) return text_set(parcel.label["texts"]);
    return image_set(parcel.label["images"], parcel.contents.front());
}

}  // namespace

config::Study load_study_together(const StudyOptions& options, comm::Communicator& comm) {
    if (comm.size() == 1) return config::load_study(options.file, options.overrides);
    std::optional<config::Study> study;
    const Parcel parcel = share(comm, [&] {
        study = config::load_study(options.file, options.overrides);
        return Parcel{study->resolved_toml, {}, 1, 1};
    });
    if (study) return *std::move(study);
    return config::parse_study(parcel.label.get<std::string>(), options.file);
}

trial::ExperimentFiles read_files_together(const trial::DataParams& data, std::uint32_t seed,
                                           std::span<const trial::PointParams> points,
                                           comm::Communicator& comm) {
    if (comm.size() == 1) return trial::read_files(data, points);
    const Parcel parcel = share(comm, [&] {
        trial::ExperimentFiles files = trial::read_files(data, points);
        Parcel packed{{{"weights", Json::array()}}, {}, 1, 1};
        pack_inputs(files.inputs, trial::images_to_hold(data, seed, points, files.inputs.count()), packed);
        for (const auto& [path, weights] : files.weights) {
            packed.label["weights"].push_back(path.string());
            packed.contents.push_back(weights);
        }
        return packed;
    });
    if (comm.rank() == 0 && parcel.copies > parcel.nodes) warn_of_copies(parcel);
    trial::ExperimentFiles files{unpack_inputs(parcel), {}};
    std::size_t next = 1;
    for (const Json& path : parcel.label["weights"])
        files.weights[path.get<std::string>()] = parcel.contents[next++];
    return files;
}

}  // namespace crossweep::app
