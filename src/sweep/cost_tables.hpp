// /cost and the surfaces of cost in results.h5 (docs/results.md).
#pragma once

#include "crossweep/sweep/results.hpp"
#include "labelled_file.hpp"

namespace crossweep::sweep {

/// Write what the points of `study` cost, if it is known: by component, by layer and in counts under /cost,
/// and in total over `grid` under /surfaces.
void write_costs(LabelledFile& file, const StudyDescription& study, const Dimension& point,
                 const Dimensions& grid);

}  // namespace crossweep::sweep
