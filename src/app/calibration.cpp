#include "calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/trial/calibration.hpp"

namespace crossweep::app {
namespace {

using Json = nlohmann::json;
using crossbar::AdcRanges;

enum CalibrationTag : int { tag_missing = 101, tag_counts = 102, tag_ranges = 103 };

/// Points that share one calibration, and the settings that it sees of them.
struct Calibration {
    std::vector<PointId> points;
    std::string settings;
};

/// What a calibration sees of the settings of a point.
config::Settings ideal_settings(config::Settings settings) {
    settings.study = {};
    settings.crossbar = trial::ideal_crossbar(settings.crossbar);
    settings.device = trial::ideal_device(settings.device);
    for (auto& [name, device] : settings.devices) device = trial::ideal_device(device);
    return settings;
}

/// The calibrations of a study, in the order of their first points; the same list on every rank.
std::vector<Calibration> calibrations_of(const Session& session) {
    std::vector<Calibration> calibrations;
    std::map<std::string, std::size_t> number_of;
    const trial::Experiment& experiment = *session.experiment;
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        if (!trial::needs_calibration(experiment.params(PointId(p)))) continue;
        std::string text = fmt::format("reference {}\n", experiment.reference_of(PointId(p)));
        for (const auto& [key, value] : config::identity(ideal_settings(session.study.points[p].settings)))
            text += fmt::format("{} = {}\n", key, value);
        const auto [found, is_new] = number_of.try_emplace(text, calibrations.size());
        if (is_new) calibrations.push_back({{}, text});
        calibrations[found->second].points.push_back(PointId(p));
    }
    return calibrations;
}

/// Name of a calibration in the file: a hash of all that decides it, contents of the files included. Rank 0
/// alone knows those.
std::string name_of(const Calibration& calibration, const Session& session) {
    const std::size_t reference = session.experiment->reference_of(calibration.points.front());
    const PointId point = session.experiment->reference_point(reference);
    return hash_text(session.workload.point_keys[point.value()].hex() + calibration.settings).hex();
}

Json to_json(const AdcRanges& ranges) {
    Json rows = Json::array();
    for (const auto& [key, tops] : ranges.all())
        rows.push_back({{"layer", key.first},
                        {"operand", config::operand_name(static_cast<linalg::Role>(key.second))},
                        {"top_of_slice", tops}});
    return rows;
}

AdcRanges from_json(const Json& rows) {
    AdcRanges ranges;
    for (const Json& row : rows) {
        const auto role = config::operand_role(row.at("operand").get<std::string>());
        if (!role) throw Json::other_error::create(501, "an operand has an unknown name", &row);
        ranges.set(LayerId(row.at("layer").get<std::uint32_t>()), *role,
                   row.at("top_of_slice").get<std::vector<double>>());
    }
    return ranges;
}

/// A message from any rank, waited for.
std::vector<std::byte> receive(comm::Communicator& comm, CalibrationTag tag) {
    for (;;) {
        if (auto message = comm.try_receive()) {
            if (message->tag != tag) throw InternalError("a message came out of turn during the calibration");
            return std::move(message->bytes);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// CBOR on the way: JSON's types in less space.
Json receive_json(comm::Communicator& comm, CalibrationTag tag) {
    return Json::from_cbor(receive(comm, tag));
}

void send_json(comm::Communicator& comm, int rank, CalibrationTag tag, const Json& json) {
    const auto bytes = Json::to_cbor(json);
    comm.send(rank, tag, std::as_bytes(std::span(bytes)));
}

Json counts_to_json(const crossbar::SumHistograms& histograms) {
    Json rows = Json::array();
    for (const auto& [key, histogram] : histograms)
        rows.push_back({key.first, key.second, histogram.full_range(), histogram.counts()});
    return rows;
}

crossbar::SumHistograms counts_from_json(const Json& rows) {
    crossbar::SumHistograms histograms;
    for (const Json& row : rows) {
        histograms.try_emplace({row[0].get<std::uint32_t>(), row[1].get<std::uint32_t>()},
                               row[2].get<double>(), row[3].get<std::vector<std::vector<std::uint64_t>>>());
    }
    return histograms;
}

/// RUNDIR/calibration.json: ranges by the names of calibrations.
class CalibrationFile {
  public:
    explicit CalibrationFile(const sweep::RunDirectory& directory)
        : path_(directory.path() / "calibration.json") {
        if (!std::filesystem::exists(path_)) return;
        try {
            stored_ = Json::parse(io::read_text(path_));
            stored_.get_ref<const Json::object_t&>();
        } catch (const Json::exception& error) {
            refuse(error.what());
        }
    }

    bool has(const std::string& name) const { return stored_.contains(name); }

    /// Ranges that fit the points of `calibration`. Throws DataError if they do not.
    AdcRanges ranges(const std::string& name, const Calibration& calibration,
                     const trial::Experiment& experiment) const {
        AdcRanges ranges;
        try {
            const Json& entry = stored_.at(name);
            const Json& rows = entry.at("ranges");
            // A digit that a disk has changed would change records, and no one would know.
            if (entry.at("hash").get<std::string>() != hash_text(rows.dump()).hex())
                refuse("its numbers are not those that were written");
            ranges = from_json(rows);
        } catch (const Json::exception& error) {
            refuse(error.what());
        }
        const std::string complaint = trial::complaint(experiment, calibration.points.front(), ranges);
        if (!complaint.empty()) refuse("it " + complaint);
        return ranges;
    }

    void add(const std::string& name, const AdcRanges& ranges) {
        const Json rows = to_json(ranges);
        stored_[name] = {{"hash", hash_text(rows.dump()).hex()}, {"ranges", rows}};
        io::write_text_atomically(path_, stored_.dump(1) + "\n");
    }

  private:
    [[noreturn]] void refuse(const std::string& why) const {
        throw DataError(
            fmt::format("{}: the calibration of the ADCs cannot be read ({}). Remove the file to have it "
                        "computed again.",
                        path_.string(), why));
    }

    std::filesystem::path path_;
    Json stored_ = Json::object();
};

/// Count the sums of one calibration on all ranks: those of all on rank 0, this rank's elsewhere. Nothing if
/// a rank was asked to stop. The ranks agree after every image, so that none waits for another in vain.
std::optional<crossbar::SumHistograms> count_together(const trial::Experiment& experiment, PointId point,
                                                      const sweep::StopCondition& stop,
                                                      comm::Communicator& comm) {
    const auto images =
        trial::calibration_images(experiment, experiment.params(point).crossbar.adc_calibration_images);
    const auto rank = static_cast<std::size_t>(comm.rank()), ranks = static_cast<std::size_t>(comm.size());
    std::optional<trial::Calibrator> calibrator;
    if (rank < images.size()) calibrator.emplace(experiment, point);
    for (std::size_t first = 0; first < images.size(); first += ranks) {
        if (first + rank < images.size()) calibrator->add(images[first + rank]);
        if (comm.max_over_ranks(stop.signalled() || stop.out_of_time(0)) != 0) return std::nullopt;
    }
    crossbar::SumHistograms counts;
    if (calibrator) counts = calibrator->histograms();
    if (rank != 0) {
        send_json(comm, 0, tag_counts, counts_to_json(counts));
        return counts;
    }
    for (std::size_t other = 1; other < ranks; ++other)
        trial::merge(counts_from_json(receive_json(comm, tag_counts)), counts);
    return counts;
}

void announce(const Session& session, const std::vector<Calibration>& calibrations, const Json& missing) {
    const trial::Experiment& experiment = *session.experiment;
    std::size_t evaluated = 0;
    for (const Json& number : missing) {
        const PointId point = calibrations[number.get<std::size_t>()].points.front();
        const auto images =
            trial::calibration_images(experiment, experiment.params(point).crossbar.adc_calibration_images);
        const auto used = experiment.images();
        const auto count = std::count_if(images.begin(), images.end(), [&](std::uint32_t image) {
            return std::binary_search(used.begin(), used.end(), image);
        });
        evaluated = std::max(evaluated, static_cast<std::size_t>(count));
    }
    fmt::print(stderr, "calibrating the ADCs of {} setting{}{}\n", missing.size(),
               missing.size() == 1 ? "" : "s",
               evaluated > 0 ? fmt::format(", on {} images that are evaluated as well", evaluated) : "");
}

/// The lock on calibrating here, waited for; nothing if `stop` came first.
std::optional<sweep::DirectoryLock> wait_for_turn(const sweep::RunDirectory& directory,
                                                  const sweep::StopCondition& stop) {
    for (;;) {
        if (auto lock = directory.try_lock("calibration.lock")) return lock;
        if (stop.signalled() || stop.out_of_time(0)) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void set_ranges(Session& session, const Calibration& calibration, AdcRanges ranges) {
    const auto shared = std::make_shared<const AdcRanges>(std::move(ranges));
    for (const PointId point : calibration.points) session.experiment->set_adc_ranges(point, shared);
}

}  // namespace

bool calibrate_together(Session& session, const sweep::RunDirectory* directory,
                        const sweep::StopCondition& stop, comm::Communicator& comm) {
    const std::vector<Calibration> calibrations = calibrations_of(session);
    if (calibrations.empty()) return true;
    const bool leads = comm.rank() == 0;
    const trial::Experiment& experiment = *session.experiment;
    std::optional<sweep::DirectoryLock> lock;
    if (leads) lock = wait_for_turn(*directory, stop);
    if (comm.max_over_ranks(leads && !lock) != 0) return false;

    std::optional<CalibrationFile> file;
    Json missing = Json::array();
    if (leads) {
        file.emplace(*directory);
        for (std::size_t i = 0; i < calibrations.size(); ++i) {
            if (!file->has(name_of(calibrations[i], session))) missing.push_back(i);
        }
        if (!missing.empty()) announce(session, calibrations, missing);
        for (int rank = 1; rank < comm.size(); ++rank) send_json(comm, rank, tag_missing, missing);
    } else {
        missing = receive_json(comm, tag_missing);
    }
    for (const Json& number : missing) {
        const Calibration& calibration = calibrations[number.get<std::size_t>()];
        const PointId point = calibration.points.front();
        const auto counts = count_together(experiment, point, stop, comm);
        if (!counts) return false;
        const double percentile = experiment.params(point).crossbar.adc_percentile;
        if (leads) file->add(name_of(calibration, session), trial::ranges_of(*counts, percentile));
    }
    for (const Calibration& calibration : calibrations) {
        if (!leads) {
            set_ranges(session, calibration, from_json(receive_json(comm, tag_ranges)));
            continue;
        }
        AdcRanges ranges = file->ranges(name_of(calibration, session), calibration, experiment);
        for (int rank = 1; rank < comm.size(); ++rank) send_json(comm, rank, tag_ranges, to_json(ranges));
        set_ranges(session, calibration, std::move(ranges));
    }
    return true;
}

void calibrate_point(Session& session, const sweep::RunDirectory& directory, PointId point) {
    for (const Calibration& calibration : calibrations_of(session)) {
        if (std::find(calibration.points.begin(), calibration.points.end(), point) ==
            calibration.points.end())
            continue;
        const CalibrationFile file(directory);
        const std::string name = name_of(calibration, session);
        if (file.has(name)) {
            set_ranges(session, calibration, file.ranges(name, calibration, *session.experiment));
            return;
        }
        const auto alone = comm::make_local_communicator();
        const auto counts = count_together(*session.experiment, point, {}, *alone);
        const double percentile = session.experiment->params(point).crossbar.adc_percentile;
        set_ranges(session, calibration, trial::ranges_of(counts.value(), percentile));
    }
}

}  // namespace crossweep::app
