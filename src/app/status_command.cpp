// crossweep status: how far a run is, from what lies in its directory; on any machine, at any time.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "commands.hpp"
#include "progress_display.hpp"
#include "report.hpp"
#include "stored_records.hpp"

namespace crossweep::app {
namespace {

constexpr std::size_t slowest_shown = 3;
constexpr std::size_t segments_of_a_rate = 20;  ///< the last ones: ranks may have become more or fewer

struct SlowRecord {
    double seconds;
    io::RecordKey key;
};

/// What is read in one look at the directory.
struct Look {
    Look(StoredStudy stored_study, sweep::RunDirectory run_directory)
        : study(std::move(stored_study)), directory(std::move(run_directory)) {}

    StoredStudy study;
    sweep::RunDirectory directory;
    std::optional<StoredRecords> stored;
    std::vector<SlowRecord> slowest;
    double records_per_s = 0;  ///< of the last segments by their times; 0 if not known
    std::optional<double> last_segment_age_s;

    std::size_t planned() const { return study.workload.records(); }
    std::size_t done() const { return stored->census.succeeded(); }
    double left_core_h() const {
        const double left = static_cast<double>(planned() - done());
        return done() == 0 ? 0 : stored->census.seconds() / static_cast<double>(done()) * left / 3600;
    }
    /// Time until the end at the present rate; not a number if that is not known.
    double left_s() const {
        return records_per_s > 0 ? static_cast<double>(planned() - done()) / records_per_s : NAN;
    }
};

/// When the file system says that `path` was written, in seconds since the epoch.
double written_s(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return 0;
    return static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
}

/// Rate by the last segments: what came after the first of them, over the time that it took.
void note_rate(const std::map<std::filesystem::path, std::size_t>& records, Look& look) {
    std::vector<std::pair<double, std::size_t>> by_time;
    for (const auto& [segment, count] : records) by_time.emplace_back(written_s(segment), count);
    if (by_time.empty()) return;
    std::sort(by_time.begin(), by_time.end());
    look.last_segment_age_s = std::max(0.0, static_cast<double>(std::time(nullptr)) - by_time.back().first);
    const std::size_t first = by_time.size() - std::min(by_time.size(), segments_of_a_rate);
    std::size_t count = 0;
    for (std::size_t i = first + 1; i < by_time.size(); ++i) count += by_time[i].second;
    const double took_s = by_time.back().first - by_time[first].first;
    if (took_s > 0) look.records_per_s = static_cast<double>(count) / took_s;
}

std::unique_ptr<Look> look_at(const std::string& path) {
    sweep::RunDirectory directory = sweep::RunDirectory::read(path);
    StoredStudy study = read_stored_study(directory);
    // The census keeps a pointer to the workload, so the look stays where it is.
    auto made = std::make_unique<Look>(std::move(study), std::move(directory));
    Look& look = *made;
    std::map<std::filesystem::path, std::size_t> records;
    look.stored.emplace(
        count_records(look.directory, look.study.workload,
                      [&](const io::RecordStatus& record, const std::filesystem::path& segment) {
                          if (record.failed()) return;
                          ++records[segment];
                          look.slowest.push_back({record.seconds, record.key});
                          std::ranges::sort(look.slowest, std::greater{}, &SlowRecord::seconds);
                          if (look.slowest.size() > slowest_shown) look.slowest.pop_back();
                      }));
    note_rate(records, look);
    return made;
}

/// The surface of the records so far, by way of a results file that only this call sees.
Report surface_of(const Look& look) {
    std::string folder = std::filesystem::temp_directory_path() / "crossweep-status-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
        throw DataError(
            fmt::format("{}: cannot be made. Set TMPDIR to a folder with room, or use --brief.", folder));
    struct Removal {
        std::filesystem::path folder;
        ~Removal() {
            std::error_code nobody_to_tell;
            std::filesystem::remove_all(folder, nobody_to_tell);
        }
    } const removal{folder};
    const auto results = std::filesystem::path(folder) / "results.h5";
    merge_records(results, look.directory, look.study, *look.stored, "crossweep status");
    return read_report(results);
}

/// The axes' values of a point, as "key = value, ...".
std::string name_of(const StoredStudy& study, std::size_t point) {
    if (point >= study.description.points) return "noise-free reference";
    std::vector<std::string> values;
    std::size_t after = study.description.points;
    for (const sweep::ResultAxis& axis : study.description.axes) {
        const auto& texts = axis.coordinate.text;
        after /= texts.size();
        values.push_back(fmt::format("{} = {}", axis.coordinate.name, texts[point / after % texts.size()]));
    }
    return fmt::format("{}", fmt::join(values, ", "));
}

nlohmann::ordered_json slowest_json(const Look& look) {
    auto all = nlohmann::ordered_json::array();
    for (const SlowRecord& slow : look.slowest) {
        const PointId point = look.stored->census.points().find(slow.key.point).front();
        all.push_back({{"point", point.value()},
                       {"trial", slow.key.trial},
                       {"shard", slow.key.shard},
                       {"seconds", slow.seconds},
                       {"name", name_of(look.study, point.value())}});
    }
    return all;
}

void print_json(const Look& look, bool with_surface) {
    const sweep::Census& census = look.stored->census;
    nlohmann::ordered_json json{{"study", look.study.name},
                                {"records", look.done()},
                                {"records_planned", look.planned()},
                                {"records_failed", census.failed()},
                                {"segments", look.stored->segments.count()},
                                {"segments_damaged", look.stored->segments.damaged.size()},
                                {"compute_s", census.seconds()},
                                {"left_core_hours", look.left_core_h()},
                                {"records_per_s", look.records_per_s},
                                {"left_s", look.left_s()},
                                {"last_segment_age_s", look.last_segment_age_s.value_or(NAN)},
                                {"complete", census.complete()},
                                {"paths", census.paths()},
                                {"slowest", slowest_json(look)}};
    if (with_surface) json["report"] = nlohmann::ordered_json::parse(report_json(surface_of(look)));
    fmt::print("{}\n", json.dump(2));
}

void print_text(const Look& look, const std::string& path, bool with_surface) {
    const sweep::Census& census = look.stored->census;
    fmt::print("{}: {} of {} records ({:.1f} %), {} failed, {} segments ({} damaged)\n", look.study.name,
               look.done(), look.planned(),
               100 * static_cast<double>(look.done()) / static_cast<double>(look.planned()), census.failed(),
               look.stored->segments.count(), look.stored->segments.damaged.size());
    fmt::print("{:.3g} core hours computed, about {:.3g} left\n", census.seconds() / 3600,
               look.left_core_h());
    if (!census.complete() && look.records_per_s > 0) {
        fmt::print("{:.3g} records/s by the last segments, {} left at that rate\n", look.records_per_s,
                   duration(look.left_s()));
    }
    if (!census.complete() && look.last_segment_age_s)
        fmt::print("last segment {} ago\n", duration(*look.last_segment_age_s));
    for (const auto& slow : slowest_json(look)) {
        fmt::print("slow: {:.3g} s, point {} ({}), trial {}, shard {}\n", slow["seconds"].get<double>(),
                   slow["point"].get<std::size_t>(), slow["name"].get<std::string>(),
                   slow["trial"].get<std::size_t>(), slow["shard"].get<std::size_t>());
    }
    const bool shows_surface = with_surface && look.done() > 0;
    if (!shows_surface) print_mixed_paths(census.paths());  // else the surface says it
    for (const auto& [cell, why] : census.failures()) {
        const auto& [point, trial, shard] = cell;
        fmt::print("  failed: {}\n    crossweep replay {} --point {} --trial {} --shard {}\n", why, path,
                   point, trial, shard);
    }
    if (shows_surface) print_report(surface_of(look));
}

}  // namespace

ExitCode status(const StatusOptions& options) {
    while (true) {
        const std::unique_ptr<const Look> seen = look_at(options.directory);
        const Look& look = *seen;
        warn_of_damage(*look.stored);
        if (options.watch_s > 0 && isatty(STDOUT_FILENO) != 0) fmt::print("\033[H\033[2J");
        if (options.json)
            print_json(look, !options.brief);
        else
            print_text(look, options.directory, !options.brief);
        std::fflush(stdout);
        if (options.watch_s <= 0 || look.stored->census.complete()) return ExitCode::done;
        std::this_thread::sleep_for(std::chrono::duration<double>(options.watch_s));
    }
}

}  // namespace crossweep::app
