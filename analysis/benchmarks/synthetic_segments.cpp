// Fills a run directory with records of a study that nobody computed, through the program's own writer: what
// large_study.py times resuming, status and merge with.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "crossweep/core/error.hpp"
#include "crossweep/core/noise_stream.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "session.hpp"

namespace crossweep::app {
namespace {

/// Random, and the same at every call.
io::Record synthetic_record(const Session& session, const io::RecordKey& key, const std::string& path) {
    const trial::Experiment& experiment = *session.experiment;
    const std::size_t shard_images = session.study.base.data.shard_images;
    const std::size_t first = key.shard * shard_images;
    io::Record record;
    record.key = key;
    record.images = static_cast<std::uint32_t>(std::min(shard_images, experiment.images().size() - first));
    record.path = path;
    const auto layers = experiment.model(0).network.architecture().depth;
    const auto word = [&](std::uint32_t number) {
        return philox_block({static_cast<std::uint32_t>(key.point.low), key.trial}, {key.shard, number, 0},
                            0)[0];
    };
    for (std::uint32_t i = 0; i < record.images; ++i) {
        record.predicted.push_back(static_cast<std::int32_t>(word(i) % 10));
        record.margin.push_back(static_cast<float>(word(i)) * 0x1p-31F - 1);
        const std::int32_t label = experiment.label(experiment.images()[first + i]);
        record.correct_top1 += record.predicted.back() == label ? 1 : 0;
        record.correct_top5 += word(i) % 2;
    }
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
        record.signal.push_back(10 + word(1000 + layer) * 0x1p-32);
        record.noise.push_back(1 + word(2000 + layer) * 0x1p-32);
    }
    record.seconds = 0.01 + word(3000) * 0x1p-40;
    return record;
}

/// The first `units` units of the plan, in `segments` segments.
void fill(const std::string& study, const std::string& directory, std::size_t units, std::size_t segments) {
    const Session session = open_session(config::load_study(study, {}));
    auto run = sweep::RunDirectory::open(directory, session.study.resolved_toml,
                                         [](const auto&) { return std::vector<std::string>(); }, {});
    const sweep::Plan plan = sweep::plan_units(session.workload);
    units = std::min(units, plan.size());
    const std::string path = linalg::arithmetic_path();
    std::size_t made = 0;
    for (std::size_t segment = 0; segment < segments; ++segment) {
        std::vector<io::Record> records;
        for (std::size_t u = segment * units / segments; u < (segment + 1) * units / segments; ++u) {
            const WorkUnit unit = plan.unit(u);
            for (std::size_t i = 0; i < unit.points.size(); ++i)
                records.push_back(synthetic_record(session, session.workload.key(unit, i), path));
        }
        made += records.size();
        run.append(records);
    }
    fmt::print("{} of {} units, {} records\n", units, plan.size(), made);
}

std::size_t number(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        throw UsageError(fmt::format("{} is not a whole number", text));
    return value;
}

}  // namespace
}  // namespace crossweep::app

int main(int count, char** arguments) {
    try {
        if (count != 5)
            throw crossweep::UsageError("usage: synthetic_segments STUDY.toml RUNDIR UNITS SEGMENTS");
        crossweep::app::fill(arguments[1], arguments[2], crossweep::app::number(arguments[3]),
                             crossweep::app::number(arguments[4]));
    } catch (const crossweep::Error& error) {
        fmt::print(stderr, "synthetic_segments: {}\n", error.what());
        return static_cast<int>(error.exit_code());
    }
    return 0;
}
