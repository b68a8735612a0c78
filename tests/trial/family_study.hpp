// Data sets that fit the stored models of tests/model, as files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/trial/trial_params.hpp"
#include "model/stored_families.hpp"
#include "trial/tiny_model.hpp"

namespace crossweep::trial {

/// Texts as analysis/prepare_text.py stores them.
struct TextFile {
    std::vector<std::size_t> shape{0, 0};  ///< texts, places
    std::vector<std::int32_t> tokens, labels;
    std::vector<std::uint8_t> mask, segments;
    std::string task = "classification";
    double vocabulary = 37;

    void save(const std::filesystem::path& path) const {
        std::filesystem::remove(path);
        io::Hdf5File file(path, io::Hdf5File::Mode::create);
        file.write<std::int32_t>("/tokens", tokens, shape);
        file.write<std::uint8_t>("/mask", mask, shape);
        file.set_attribute("/tokens", "task", task);
        const std::vector<double> one{1};
        file.set_attribute("/tokens", "characters_per_token", one);
        if (vocabulary > 0) file.set_attribute("/tokens", "vocabulary", std::vector<double>{vocabulary});
        if (!segments.empty()) file.write<std::uint8_t>("/segments", segments, shape);
        if (!labels.empty()) file.write<std::int32_t>("/labels", labels, {labels.size()});
        file.close();
    }
};

/// The stored texts of BERT with labels, or of GPT-2.
inline TextFile stored_texts(const model::StoredFamily& stored) {
    const auto& network = stored.model().architecture();
    TextFile file;
    file.shape = {stored.inputs().size(), network.tokens};
    const std::size_t places = stored.inputs().size() * network.tokens;
    file.tokens.resize(places);
    file.mask.resize(places);
    const bool classifies = network.task == model::Task::classification;
    if (classifies) file.segments.resize(places);
    for (std::size_t text = 0; text < stored.inputs().size(); ++text) {
        for (const model::TextToken& token : stored.inputs()[text].tokens) {
            const std::size_t at = text * network.tokens + token.position;
            file.tokens[at] = static_cast<std::int32_t>(token.id);
            file.mask[at] = 1;
            if (classifies) file.segments[at] = static_cast<std::uint8_t>(token.segment);
        }
        if (classifies) file.labels.push_back(static_cast<std::int32_t>(text % network.classes));
    }
    if (!classifies) file.task = "language_model";
    return file;
}

/// A folder with a data set for a stored model, and parameters that name both.
struct FamilyStudy {
    io::TemporaryFolder folder;
    DataParams data;
    ModelParams model;

    explicit FamilyStudy(const std::string& family) {
        model.weights = model::stored_model(family);
        const model::StoredFamily stored(family);
        const model::Architecture& network = stored.model().architecture();
        if (network.takes_images()) {
            write_tiny_images(folder.path(), 12, static_cast<std::uint32_t>(network.image_size),
                              static_cast<std::uint32_t>(network.channels));
            data.images = folder / "images.idx";
            data.labels = folder / "labels.idx";
            data.mean.assign(network.channels, 0.5);
            data.std.assign(network.channels, 0.25);
            write_idx(data.labels, {12}, std::string(12, '\1'));
        } else {
            data.texts = folder / "texts.h5";
            stored_texts(stored).save(data.texts);
        }
    }

    PointParams point() const {
        PointParams point{model, {}, {}, usual_operands()};
        point.crossbar.written_scale = crossbar::ScaleBlock::token;
        return point;
    }
};

}  // namespace crossweep::trial
