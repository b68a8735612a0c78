#include "crossweep/cost/published_shapes.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace crossweep::cost {
namespace {

// clang-format off
const std::vector<TransformerShape>& shapes() {
    static const std::vector<TransformerShape> all{
        // name, kind, depth, width, heads, mlp_width, most_tokens
        // Devlin et al. 2019, arXiv 1810.04805, section 3
        {"bert-base",  Kind::encoder, 12,  768, 12, 3072,  512, {}},
        {"bert-large", Kind::encoder, 24, 1024, 16, 4096,  512, {}},
        // Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", the smallest
        {"gpt2",       Kind::decoder, 12,  768, 12, 3072, 1024, {}},
        // Touvron et al. 2021, arXiv 2012.12877, Table 1; 14 x 14 patches and a class token
        {"deit-tiny",  Kind::encoder, 12,  192,  3,  768,  197, {}},
        {"deit-small", Kind::encoder, 12,  384,  6, 1536,  197, {}},
        {"deit-base",  Kind::encoder, 12,  768, 12, 3072,  197, {}},
        // Jiang et al. 2021, arXiv 2104.10858: feed-forward three times as wide
        {"lv-vit-s",   Kind::encoder, 16,  384,  6, 1152,  197, {}},
    };
    return all;
}
// clang-format on

/// Letters and digits alone, small: "GPT-2" and "gpt2" are one name.
std::string essence(std::string_view name) {
    std::string kept;
    for (const unsigned char c : name)
        if (std::isalnum(c) != 0) kept += static_cast<char>(std::tolower(c));
    return kept;
}

}  // namespace

std::span<const TransformerShape> published_shapes() {
    return shapes();
}

const TransformerShape* find_published_shape(std::string_view name) {
    const auto found = std::ranges::find_if(
        shapes(),
        [wanted = essence(name)](const TransformerShape& shape) { return essence(shape.name) == wanted; });
    return found == shapes().end() ? nullptr : &*found;
}

}  // namespace crossweep::cost
