// HDF5 with RAII handles and located errors. The only header through which the program sees HDF5.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossweep::io {

/// Element types that the program stores.
template <class T>
concept Hdf5Element = std::same_as<T, double> || std::same_as<T, float> || std::same_as<T, std::int32_t> ||
    std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t> || std::same_as<T, std::uint8_t> ||
    std::same_as<T, std::string>;

/// What the elements of a data set are; `integer` and `real` are of any width.
enum class ElementKind { unsigned_byte, integer, real, text, other };

/// A data set that is written row by row, a row being everything at one index of its first dimension. Has to
/// go before its file is closed.
class Hdf5Rows {
  public:
    ~Hdf5Rows();
    Hdf5Rows(Hdf5Rows&&) noexcept;
    Hdf5Rows& operator=(Hdf5Rows&&) noexcept;

    /// Write the next row. Throws DataError.
    template <Hdf5Element T>
    void append(std::span<const T> row);

  private:
    friend class Hdf5File;
    struct Handle;
    explicit Hdf5Rows(std::unique_ptr<Handle> handle);
    std::unique_ptr<Handle> handle_;
};

/// One open HDF5 file. Paths inside it are absolute ("/records/images"); missing groups are made on writing.
/// Every failure throws DataError with the file, the object and HDF5's own reason. A file being created is
/// composed in memory (up to twice its size) and reaches the disk on close, so that a full disk is one plain
/// failed write; or, where it may be larger than memory (`create_on_disk`), written as it grows. One thread
/// at a time uses HDF5.
class Hdf5File {
  public:
    enum class Mode { read, create, create_on_disk };
    Hdf5File(const std::filesystem::path& path, Mode mode);
    /// Read `image`, the bytes of the file `path`, which have to live as long.
    Hdf5File(const std::filesystem::path& path, std::string_view image);
    ~Hdf5File();
    Hdf5File(Hdf5File&&) noexcept;
    Hdf5File& operator=(Hdf5File&&) noexcept;

    /// Write `values`, row-major, with the given shape (empty: one dimension of values.size()).
    template <Hdf5Element T>
    void write(const std::string& path, std::span<const T> values, std::vector<std::size_t> shape = {});
    /// The same with one width for all texts, the longest one's, which is much faster to read, unless that
    /// would take more room than as many texts of any length.
    void write_texts_of_like_length(const std::string& path, std::span<const std::string> texts);
    /// Make a data set of that shape, to be written row by row: numbers only.
    template <Hdf5Element T>
    Hdf5Rows create_rows(const std::string& path, const std::vector<std::size_t>& shape);
    /// All elements, row-major; HDF5 converts between number types, and clips what does not fit.
    template <Hdf5Element T>
    std::vector<T> read(const std::string& path) const;
    std::vector<std::size_t> shape(const std::string& path) const;
    ElementKind element_kind(const std::string& path) const;
    /// Where in the file the elements of a data set stand in one piece, as they are; nothing if they do not.
    std::optional<std::size_t> contiguous_offset(const std::string& path) const;
    bool contains(const std::string& path) const;
    /// Names of the members of a group, sorted.
    std::vector<std::string> members(const std::string& group) const;

    /// Attribute of a data set or group ("/" for the file); replaces one of the same name.
    void set_attribute(const std::string& object, const std::string& name, std::string_view value);
    void set_attribute(const std::string& object, const std::string& name, std::span<const double> values);
    std::string text_attribute(const std::string& object, const std::string& name) const;
    std::vector<double> number_attribute(const std::string& object, const std::string& name) const;
    bool has_attribute(const std::string& object, const std::string& name) const;

    /// Make `scale` (one-dimensional) a dimension scale named as its last path part, and attach it to
    /// dimension `dimension` of `dataset`, as netCDF-4 and xarray expect.
    void attach_scale(const std::string& dataset, std::size_t dimension, const std::string& scale);
    /// Write and close; throws DataError where the destructor would have to be silent (disk full). The
    /// destructor writes what is there.
    void close();

  private:
    struct Handle;
    std::unique_ptr<Handle> file_;
    std::filesystem::path path_;
};

/// Version of the HDF5 library that is loaded.
std::string hdf5_version();

}  // namespace crossweep::io
