// Data sets as results.h5 has them: with units, a long name, and a scale on every dimension.
#pragma once

#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "crossweep/io/hdf5_file.hpp"

namespace crossweep::sweep {

/// A dimension of a data set: the path of its scale, and its length.
struct Dimension {
    std::string scale;
    std::size_t size;
};
using Dimensions = std::vector<Dimension>;

/// The unit that a name carries as its suffix, as in `g_max_S`, `energy_J` and `energy_J_per_B`; else "1".
std::string unit_of(std::string_view name);

class LabelledFile {
  public:
    explicit LabelledFile(io::Hdf5File& file) : file_(file) {}

    template <class T>
    void put(const std::string& path, const std::vector<T>& values, const Dimensions& dimensions,
             std::string_view units, std::string_view long_name) {
        file_.write<T>(path, values, shape_of(dimensions));
        describe(path, dimensions, units, long_name);
    }

    /// A data set that gets its rows later, one for each index of its first dimension.
    template <class T>
    io::Hdf5Rows rows(const std::string& path, const Dimensions& dimensions, std::string_view units,
                      std::string_view long_name) {
        io::Hdf5Rows made = file_.create_rows<T>(path, shape_of(dimensions));
        describe(path, dimensions, units, long_name);
        return made;
    }

    /// The scale of a dimension that is counted from 0.
    void put_scale(const Dimension& dimension, std::string_view long_name) {
        std::vector<std::uint32_t> index(dimension.size);
        std::iota(index.begin(), index.end(), 0U);
        put(dimension.scale, index, {dimension}, "1", long_name);
    }

  private:
    static std::vector<std::size_t> shape_of(const Dimensions& dimensions) {
        std::vector<std::size_t> shape;
        for (const Dimension& dimension : dimensions) shape.push_back(dimension.size);
        return shape;
    }

    void describe(const std::string& path, const Dimensions& dimensions, std::string_view units,
                  std::string_view long_name) {
        file_.set_attribute(path, "units", units);
        file_.set_attribute(path, "long_name", long_name);
        for (std::size_t d = 0; d < dimensions.size(); ++d) {
            if (dimensions[d].scale != path) file_.attach_scale(path, d, dimensions[d].scale);
        }
    }

    io::Hdf5File& file_;
};

}  // namespace crossweep::sweep
