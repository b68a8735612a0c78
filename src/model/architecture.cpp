#include "crossweep/model/architecture.hpp"

namespace crossweep::model {

std::size_t Architecture::tokens_in_block(std::size_t block) const {
    std::size_t seen = tokens;
    for (const TokenCut& cut : cuts) {
        if (cut.before_block <= block) seen = cut.patches + 1;
    }
    return seen;
}

}  // namespace crossweep::model
