#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "crossweep/core/error.hpp"
#include "crossweep/io/hdf5_file.hpp"

namespace crossweep::app {
namespace {

/// Those that the file has are read: a language model has some of its own, and older files have no loss.
const std::vector<std::string> surface_names{"top1_accuracy",
                                             "top1_accuracy_images_like_these",
                                             "top5_accuracy",
                                             "accuracy_drop",
                                             "snr_dB",
                                             "loss",
                                             "loss_images_like_these",
                                             "perplexity",
                                             "perplexity_images_like_these",
                                             "bits_per_character",
                                             "bits_per_character_images_like_these"};

/// Of one input, as the points' hardware has them; files of before there were costs have none.
struct CostFigure {
    const char* name;
    const char* heading;
    double per_unit;  ///< of the heading, in SI
};
constexpr std::array cost_figures{CostFigure{"energy_J", "energy in µJ", 1e-6},
                                  CostFigure{"area_m2", "area in mm²", 1e-6},
                                  CostFigure{"latency_s", "latency in ms", 1e-3}};
constexpr const char* energy_delay = "energy_delay_Js";

/// Axes of the grid: /axes lists the names of their coordinates in /surfaces.
std::vector<Report::Axis> read_axes(const io::Hdf5File& file) {
    std::vector<Report::Axis> axes;
    for (const auto& name : file.read<std::string>("/axes")) {
        Report::Axis axis{name, {}};
        const std::string path = "/surfaces/" + name;
        if (file.element_kind(path) == io::ElementKind::text) {
            axis.labels = file.read<std::string>(path);
        } else {
            for (const double value : file.read<double>(path))
                axis.labels.push_back(fmt::format("{}", value));
        }
        axes.push_back(std::move(axis));
    }
    return axes;
}

/// Of each reference, over the images that it has.
std::vector<double> fractions_correct(const io::Hdf5File& file) {
    const auto labels = file.read<std::int32_t>("/labels");
    const auto predicted = file.read<std::int32_t>("/reference/class");
    std::vector<double> fractions;
    for (std::size_t first = 0; first < predicted.size(); first += labels.size()) {
        double correct = 0, there = 0;
        for (std::size_t i = 0; i < labels.size(); ++i) {
            there += predicted[first + i] >= 0 ? 1 : 0;
            correct += predicted[first + i] == labels[i] ? 1 : 0;
        }
        fractions.push_back(correct / there);
    }
    return fractions;
}

/// Likewise.
std::vector<double> mean_losses(const io::Hdf5File& file, std::size_t images) {
    std::vector<double> means;
    if (!file.contains("/reference/loss")) return means;
    const auto loss = file.read<float>("/reference/loss");
    for (std::size_t first = 0; first < loss.size(); first += images) {
        double sum = 0, there = 0;
        for (const float of_image : std::span(loss).subspan(first, images)) {
            if (std::isnan(of_image)) continue;
            sum += static_cast<double>(of_image);
            there += 1;
        }
        means.push_back(sum / there);
    }
    return means;
}

/// `value(entry)` of every entry of `values`, for a line of text.
std::string list(const std::vector<double>& values, int digits, auto&& value) {
    std::string text;
    for (const double entry : values)
        text += fmt::format("{}{:.{}f}", text.empty() ? "" : ", ", value(entry), digits);
    return text;
}

double bits_of(const Report& report, double loss) {
    return sweep::bits_per_character({loss, loss, loss}, report.characters_per_token).best;
}

std::string interval(const Estimate& e, double scale, int digits) {
    if (std::isnan(e.best)) return "-";
    if (std::isnan(e.low)) return fmt::format("{:.{}f}", scale * e.best, digits);
    return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", scale * e.best, digits, scale * e.low, digits,
                       scale * e.high, digits);
}

/// Number of the axis that becomes the columns: the last with at most six values, if another is left for the
/// rows.
std::size_t column_axis(const Report& report) {
    std::size_t chosen = report.axes.size();
    for (std::size_t a = 0; a < report.axes.size(); ++a) {
        if (report.axes.size() > 1 && report.axes[a].labels.size() <= 6) chosen = a;
    }
    return chosen;
}

/// Characters, of which UTF-8 may take several bytes for one.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// `rows` with their headings first.
void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows[0].size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            fmt::print("{}{:{}}{}", i == 0 ? "  " : "   ", "", widths[i] - width_of(row[i]), row[i]);
        }
        fmt::print("\n");
    }
}

/// Place of `point` on every axis.
std::vector<std::size_t> place_of(const Report& report, std::size_t point) {
    std::vector<std::size_t> place(report.axes.size());
    for (std::size_t a = report.axes.size(); a-- > 0;) {
        place[a] = point % report.axes[a].labels.size();
        point /= report.axes[a].labels.size();
    }
    return place;
}

void print_surface(const Report& report, const std::string& name, double scale, int digits) {
    const auto& values = report.surfaces.at(name);
    const std::size_t columns_axis = column_axis(report);
    const bool table = columns_axis < report.axes.size();
    const std::size_t columns = table ? report.axes[columns_axis].labels.size() : 1;
    std::size_t stride = 1;  // between neighbours on the column axis
    for (std::size_t a = columns_axis + 1; a < report.axes.size(); ++a)
        stride *= report.axes[a].labels.size();

    std::vector<std::vector<std::string>> rows(1);
    for (std::size_t a = 0; a < report.axes.size(); ++a) {
        if (a != columns_axis) rows[0].push_back(report.axes[a].name);
    }
    for (std::size_t c = 0; c < columns; ++c)
        rows[0].push_back(table ? report.axes[columns_axis].labels[c] : name);
    for (std::size_t point = 0; point < values.size(); ++point) {
        if (table && (point / stride) % columns != 0) continue;
        std::vector<std::string> row;
        const auto place = place_of(report, point);
        for (std::size_t a = 0; a < report.axes.size(); ++a) {
            if (a != columns_axis) row.push_back(report.axes[a].labels[place[a]]);
        }
        for (std::size_t c = 0; c < columns; ++c)
            row.push_back(interval(values[point + c * stride], scale, digits));
        rows.push_back(std::move(row));
    }
    print_table(rows);
}

/// Numbers of the axes along which a cost changes: noise costs nothing.
std::vector<std::size_t> axes_of_cost(const Report& report) {
    std::vector<std::size_t> axes;
    std::size_t stride = report.points();
    for (std::size_t a = 0; a < report.axes.size(); ++a) {
        const std::size_t size = report.axes[a].labels.size();
        stride /= size;
        const auto changes = [&](const auto& figure) {
            const std::vector<double>& values = report.costs.at(figure.name);
            for (std::size_t point = 0; point < values.size(); ++point) {
                const std::size_t first = point - point / stride % size * stride;
                if (values[point] != values[first]) return true;
            }
            return false;
        };
        if (std::ranges::any_of(cost_figures, changes)) axes.push_back(a);
    }
    return axes;
}

/// A row for every cost that differs from others.
void print_costs(const Report& report) {
    if (report.costs.empty()) return;
    const std::vector<std::size_t> axes = axes_of_cost(report);
    std::vector<std::vector<std::string>> rows(1);
    for (const std::size_t a : axes) rows[0].push_back(report.axes[a].name);
    for (const auto& figure : cost_figures) rows[0].emplace_back(figure.heading);
    for (std::size_t point = 0; point < report.points(); ++point) {
        const auto place = place_of(report, point);
        bool is_first = true;  // on all other axes
        for (std::size_t a = 0; a < place.size(); ++a)
            is_first = is_first && (place[a] == 0 || std::ranges::find(axes, a) != axes.end());
        if (!is_first) continue;
        std::vector<std::string> row;
        for (const std::size_t a : axes) row.push_back(report.axes[a].labels[place[a]]);
        for (const auto& figure : cost_figures)
            row.push_back(fmt::format("{:.4g}", report.costs.at(figure.name)[point] / figure.per_unit));
        rows.push_back(std::move(row));
    }
    fmt::print("\ncost of one input\n");
    print_table(rows);
}

void print_accuracies(const Report& report) {
    const double percent = 100 * report.confidence;
    const bool by_trial = report.trials > 1;
    fmt::print("noise-free top-1 {} %\n",
               list(report.reference_top1, 2, [](double fraction) { return 100 * fraction; }));
    fmt::print("\ntop-1 accuracy in % [{:.0f} % interval over {}]\n", percent,
               by_trial ? "trials, these images" : "images like these");
    print_surface(report, by_trial ? "top1_accuracy" : "top1_accuracy_images_like_these", 100, 1);
    fmt::print(
        "\nloss of top-1 accuracy against noise-free, points [{:.0f} % interval over images and trials, "
        "paired]\n",
        percent);
    print_surface(report, "accuracy_drop", 100, 1);
}

void print_perplexities(const Report& report) {
    const bool by_trial = report.trials > 1;
    const auto perplexity = [](double loss) { return std::exp(loss); };
    const auto bits = [&](double loss) { return bits_of(report, loss); };
    fmt::print("noise-free perplexity {}, {} bits per character\n",
               list(report.reference_loss, 3, perplexity), list(report.reference_loss, 3, bits));
    fmt::print("\nperplexity [{:.0f} % interval over {}]\n", 100 * report.confidence,
               by_trial ? "trials, these texts" : "texts like these");
    print_surface(report, by_trial ? "perplexity" : "perplexity_images_like_these", 1, 3);
}

/// What the noise-free references of a language model are told by. Of its texts' tokens the file has only the
/// last ones' classes, which make no accuracy.
void add_language_model(const Report& report, nlohmann::json& json) {
    json.erase("reference_top1_accuracy");
    json["characters_per_token"] = report.characters_per_token;
    for (const double loss : report.reference_loss) {
        json["reference_perplexity"].push_back(std::exp(loss));
        json["reference_bits_per_character"].push_back(bits_of(report, loss));
    }
}

}  // namespace

std::size_t Report::points() const {
    std::size_t product = 1;
    for (const Axis& axis : axes) product *= axis.labels.size();
    return product;
}

Report read_report(const std::filesystem::path& results) {
    if (!std::filesystem::exists(results)) {
        throw DataError(
            fmt::format("{}: there are no results yet. Make them with crossweep merge.", results.string()));
    }
    const io::Hdf5File file(results, io::Hdf5File::Mode::read);
    if (!file.has_attribute("/", "format") || file.text_attribute("/", "format") != "crossweep results") {
        throw DataError(fmt::format("{}: this is not a results file of crossweep.", results.string()));
    }
    Report report;
    report.study = file.text_attribute("/", "study_name");
    report.content_hash = file.text_attribute("/", "content_hash");
    report.complete = file.text_attribute("/", "complete") == "true";
    report.confidence = file.number_attribute("/", "confidence").at(0);
    report.images = file.shape("/image").at(0);
    report.trials = file.shape("/trial").at(0);
    if (file.has_attribute("/", "characters_per_token"))
        report.characters_per_token = file.number_attribute("/", "characters_per_token").at(0);
    report.reference_top1 = fractions_correct(file);
    report.reference_loss = mean_losses(file, report.images);
    report.axes = read_axes(file);
    if (file.contains("/paths")) {
        const auto names = file.read<std::string>("/paths/name");
        const auto records = file.read<std::uint64_t>("/paths/records");
        for (std::size_t i = 0; i < names.size(); ++i) report.paths[names[i]] = records.at(i);
    }
    for (const std::string& name : surface_names) {
        if (!file.contains("/surfaces/" + name)) continue;
        const auto bounds = file.read<double>("/surfaces/" + name);
        auto& surface = report.surfaces[name];
        for (std::size_t i = 0; i + 2 < bounds.size(); i += 3)
            surface.push_back({bounds[i], bounds[i + 1], bounds[i + 2]});
    }
    if (file.contains("/cost")) {
        for (const auto& figure : cost_figures)
            report.costs[figure.name] = file.read<double>(std::string("/surfaces/") + figure.name);
        report.costs[energy_delay] = file.read<double>(std::string("/surfaces/") + energy_delay);
    }
    return report;
}

void print_report(const Report& report) {
    fmt::print("\n{}: {} {}, {} trial{}{}; ", report.study, report.images,
               report.is_of_language_model() ? "texts" : "images", report.trials,
               report.trials == 1 ? "" : "s", report.complete ? "" : ", UNFINISHED");
    if (report.is_of_language_model())
        print_perplexities(report);
    else
        print_accuracies(report);
    const double percent = 100 * report.confidence;
    const bool by_trial = report.trials > 1;
    fmt::print("\nattention SNR in dB, mean over layers{}\n",
               by_trial ? fmt::format(" [{:.0f} % interval over trials]", percent) : "");
    print_surface(report, "snr_dB", 1, 2);
    print_costs(report);
    fmt::print("\ncontent_hash: {}\n", report.content_hash);
    print_mixed_paths(report.paths);
}

std::string report_json(const Report& report) {
    nlohmann::json json{{"study", report.study},
                        {"complete", report.complete},
                        {"confidence", report.confidence},
                        {"images", report.images},
                        {"trials", report.trials},
                        {"content_hash", report.content_hash},
                        {"paths", report.paths},
                        {"reference_top1_accuracy", report.reference_top1},
                        {"reference_loss", report.reference_loss}};
    if (report.is_of_language_model()) add_language_model(report, json);
    for (const auto& axis : report.axes)
        json["axes"].push_back({{"name", axis.name}, {"values", axis.labels}});
    for (std::size_t point = 0; point < report.points(); ++point) {
        nlohmann::json entry;
        const auto place = place_of(report, point);
        for (std::size_t a = 0; a < report.axes.size(); ++a)
            entry["at"][report.axes[a].name] = report.axes[a].labels[place[a]];
        for (const auto& [name, values] : report.costs) entry[name] = values[point];
        for (const auto& [name, values] : report.surfaces) {
            const Estimate& e = values[point];
            // NaN becomes null: the data cannot give it.
            entry[name] = {{"low", e.low}, {"best", e.best}, {"high", e.high}};
        }
        json["points"].push_back(std::move(entry));
    }
    return json.dump(2);
}

std::string list_paths(const sweep::PathCounts& paths) {
    std::string list;
    for (const auto& [name, records] : paths)
        list += fmt::format("{}{} on {}", list.empty() ? "" : ", ", records, name);
    return list;
}

void print_mixed_paths(const sweep::PathCounts& paths) {
    if (paths.size() < 2) return;
    fmt::print(
        "records of {} instruction-set paths are mixed ({}): each is reproducible bit for bit on its own "
        "path only, so compare estimates of them, not bits\n",
        paths.size(), list_paths(paths));
}

}  // namespace crossweep::app
