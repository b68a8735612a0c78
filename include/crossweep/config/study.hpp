// A study as its TOML file describes it: settings, sweep axes, and the points that they span.
// One table of fields (src/config/fields.cpp) drives reading, checking, echoing and the reference manual.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crossweep/cost/technology.hpp"
#include "crossweep/trial/trial_params.hpp"

namespace crossweep::config {

struct StudyParams {
    std::string name = "study";
    std::uint32_t seed = 1;    ///< key of every random draw, with the trial
    std::uint32_t trials = 1;  ///< chips (noise draws) per point
    double confidence = 0.95;  ///< of every interval
};

/// How a run proceeds. Changes no result, so it may differ between runs into one directory.
struct RunParams {
    double segment_s = 30;                ///< finished records are written at least this often
    double time_budget_s = 0;             ///< stop in time and exit 75; 0: until SLURM_JOB_END_TIME, if set
    std::uint32_t batch_images = 16;      ///< images that pass each layer together, with one reference
    std::uint32_t points_per_unit = 32;   ///< largest group of points evaluated on one batch
    std::uint32_t max_failed_units = 10;  ///< stop when more have failed
};

/// [linalg::Role]
template <class T>
using PerOperand = std::array<T, linalg::role_count>;

/// What fidelity_of says of one operand: as crossbar.fidelity, or a crossbar::Fidelity of its own.
enum class OperandFidelity { rest, digital, behavioural, sliced, circuit, large_small };

/// assumption: embedding, head and the predictors of DynamicViT are digital (ClipFormer does not say).
inline constexpr PerOperand<OperandFidelity> default_fidelity_of = [] {
    PerOperand<OperandFidelity> fidelity{};
    fidelity[static_cast<std::size_t>(linalg::Role::embedding)] = OperandFidelity::digital;
    fidelity[static_cast<std::size_t>(linalg::Role::head)] = OperandFidelity::digital;
    fidelity[static_cast<std::size_t>(linalg::Role::selector)] = OperandFidelity::digital;
    return fidelity;
}();

/// What a study calls an operand in [device_of] and [fidelity_of].
std::string_view operand_key(linalg::Role role);

/// All settings of one point.
struct Settings {
    StudyParams study;
    trial::DataParams data;
    trial::ModelParams model;
    device::DeviceParams device;                          ///< [device], which goes by the name "default"
    std::map<std::string, device::DeviceParams> devices;  ///< [devices.NAME], without "default"
    std::string rest_device = "default";                  ///< device_of.rest
    PerOperand<std::string> device_of = [] {
        PerOperand<std::string> names;
        names.fill("rest");
        return names;
    }();
    crossbar::CrossbarParams crossbar;
    crossbar::Fidelity fidelity = crossbar::Fidelity::behavioural;  ///< crossbar.fidelity
    PerOperand<OperandFidelity> fidelity_of = default_fidelity_of;
    std::string transform = "none";  ///< name of the transform in force; key transform.name
    /// By name; "none" always exists and changes nothing.
    std::map<std::string, transform::TransformParams> transforms = {{"none", {}}};
    cost::Technology technology;
    RunParams run;

    /// What the trial needs of this point: the transform in force, and the fidelity and device of each
    /// operand, looked up. Digital operands have the default device, whatever device_of says.
    trial::PointParams point() const;
};

/// One dimension of the sweep: one key (grid), several that walk together (zip), or listed points.
struct Axis {
    std::string name;               ///< the key, or the keys joined by '+'; "listed" for points
    std::vector<std::string> keys;  ///< dotted paths
    /// [value][key] as echoed, without quotes; "" where a listed point leaves the key out
    std::vector<std::vector<std::string>> text;
    /// [value][key], absent for text values and where a listed point leaves the key out
    std::vector<std::vector<std::optional<double>>> number;
    std::size_t size() const { return text.size(); }
};

/// A point with its place on the axes.
struct Point {
    Settings settings;
    std::vector<std::size_t> index;  ///< [axis]
};

struct Study {
    Settings base;              ///< keys on grid and zip axes hold their first value
    std::vector<Axis> axes;     ///< grid axes, then zips, then listed points, each in file order
    std::vector<Point> points;  ///< row-major over the axes, last axis fastest
    std::string resolved_toml;  ///< every key with its value, paths absolute: a file that load_study reads
                                ///< back the same
};

/// Read and check a study; `overrides` are "key=value" with TOML values (bare words are taken as strings).
/// Relative paths are relative to the study file. Throws ConfigError with every problem found, each as
/// `FILE:LINE:COLUMN: problem (why). What to do.`; DataError if the file cannot be read.
Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
Study parse_study(const std::string& toml, const std::filesystem::path& file,
                  const std::vector<std::string>& overrides = {});

/// Name of an operand in [device_of] and [fidelity_of], and back; nothing if there is none of that name.
std::string_view operand_name(linalg::Role role);
std::optional<linalg::Role> operand_role(std::string_view name);

/// (key, value) of everything but [run] that decides the results of a point. File paths are left out (the
/// caller adds the hashes of what they contain); a transform is given by its parameters, not its name. So are
/// devices: those in use are numbered as the operands come to them, and each operand is given by its fidelity
/// and the number of its device.
std::vector<std::pair<std::string, std::string>> identity(const Settings& settings);

/// Every scalar key of a point but [run] and [devices.NAME], for /points of the results. The transform in
/// force stands as transform.name, transform.alpha, transform.beta and so on.
struct KeyValue {
    std::string key;
    std::string text;
    std::optional<double> number;  ///< of numeric keys
};
std::vector<KeyValue> key_values(const Settings& settings);

/// One-sentence differences between two resolved studies, keys that decide no result and file paths aside;
/// empty if they are the same. Does not check values, so that a study stored by another version can be
/// compared. Throws ConfigError if not TOML.
std::vector<std::string> differences(const std::string& stored_toml, const std::string& new_toml);

/// The reference manual of all keys as Markdown: key, type, range, default, meaning.
std::string reference_markdown();

}  // namespace crossweep::config
