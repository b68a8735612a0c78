#include "crossweep/model/transformer.hpp"

#include <algorithm>
#include <numeric>

#include "crossweep/core/error.hpp"
#include "families.hpp"

namespace crossweep::model {

using linalg::Role;

Transformer::Transformer(const io::Safetensors& file, const LoadOptions& options)
    : parts_(load_family(file, options)) {}

std::uint64_t Transformer::multiply_accumulates(Role role) const {
    const Architecture& a = parts_.architecture;
    std::uint64_t sum = 0;
    for (const linalg::StationaryWeight& weight : parts_.stationary) {
        const std::uint64_t rows = weight.rows > 0 ? static_cast<std::uint64_t>(weight.rows) : a.tokens;
        for (std::size_t part = 0; part < weight.parts; ++part) {
            if (role_of_part(weight, part) != role) continue;
            sum += rows * static_cast<std::uint64_t>(part_of(weight, part).size());
        }
    }
    for (std::size_t block = 0; linalg::is_written(role) && block < a.depth; ++block) {
        const std::uint64_t tokens = a.tokens_in_block(block);
        sum += (a.causal ? tokens * (tokens + 1) / 2 : tokens * tokens) * a.width;
    }
    return sum;
}

std::uint64_t Transformer::multiply_accumulates() const {
    std::uint64_t sum = 0;
    for (std::size_t role = 0; role < linalg::role_count; ++role)
        sum += multiply_accumulates(static_cast<Role>(role));
    return sum;
}

void Transformer::forward(std::span<const Input> batch, linalg::MatmulEngine& engine, Activations& work,
                          const AttentionObserver& observe, const LogitsSink& sink) const {
    const Pass pass{parts_.architecture, engine, work};
    work.residual.resize(std::max(work.residual.size(), batch.size()));
    work.kept.resize(work.residual.size());
    const auto for_every_input = [&](const auto& step) {
        for (std::size_t i = 0; i < batch.size(); ++i) {
            engine.begin_image(batch[i].id);
            step(i, work.residual[i], work.kept[i]);
        }
    };
    for_every_input([&](std::size_t i, linalg::Matrix& residual, std::vector<std::uint32_t>& kept) {
        parts_.embedding->embed(pass, batch[i], residual);
        kept.resize(static_cast<std::size_t>(residual.rows()));
        std::iota(kept.begin(), kept.end(), 0U);
    });
    auto predictor = parts_.predictors.begin();
    for (const Block& block : parts_.blocks) {
        const bool cuts =
            predictor != parts_.predictors.end() && predictor->cut.before_block == block.layer.value();
        for_every_input([&](std::size_t i, linalg::Matrix& residual, std::vector<std::uint32_t>& kept) {
            if (cuts) predictor->apply(pass, residual, kept);
            block.run(pass, residual, nullptr, [&](const linalg::ConstMatrixView& attention) {
                if (observe) observe({i, block.layer, attention, kept});
            });
        });
        if (cuts) ++predictor;
    }
    for_every_input([&](std::size_t i, const linalg::Matrix& residual, const auto&) {
        sink(i, parts_.readout->read(pass, residual));
    });
}

linalg::MatrixView Transformer::decode(const Input& further, KeyValueCache& cache,
                                       linalg::MatmulEngine& engine, Activations& work) const {
    CROSSWEEP_EXPECT(parts_.architecture.causal);
    const Pass pass{parts_.architecture, engine, work};
    engine.begin_image(further.id, cache.tokens());
    work.residual.resize(std::max<std::size_t>(work.residual.size(), 1));
    linalg::Matrix& residual = work.residual.front();
    parts_.embedding->embed(pass, further, residual);
    for (const Block& block : parts_.blocks) block.run(pass, residual, &cache, {});
    cache.advance(further.tokens.size());
    return parts_.readout->read(pass, residual);
}

}  // namespace crossweep::model
