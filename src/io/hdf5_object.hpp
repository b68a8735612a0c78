// What the sources of Hdf5File share: identifiers that close themselves, located errors, types. Private to
// src/io; nothing outside sees hdf5.h.
#pragma once

#include <fmt/format.h>
#include <hdf5.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "file_descriptor.hpp"

namespace crossweep::io {

/// One HDF5 identifier, closed with its owner.
class Hdf5Identifier {
  public:
    using Close = herr_t (*)(hid_t);
    Hdf5Identifier(hid_t number, Close close) : number_(number), close_(close) {}
    ~Hdf5Identifier() {
        if (number_ >= 0) close_(number_);
    }
    Hdf5Identifier(Hdf5Identifier&& other) noexcept
        : number_(std::exchange(other.number_, H5I_INVALID_HID)), close_(other.close_) {}
    Hdf5Identifier& operator=(Hdf5Identifier&&) = delete;

    hid_t number() const { return number_; }

  private:
    hid_t number_;
    Close close_;
};

struct Hdf5File::Handle {
    Hdf5Identifier identifier;
    std::optional<FileDescriptor> output;  ///< where a file composed in memory goes on close
    bool on_disk = false;                  ///< being created, and written as it grows
    hid_t number() const { return identifier.number(); }
};

enum class Action { open, read, write, close };

/// Where an error is reported: file and object within it.
struct Place {
    const std::filesystem::path& file;
    std::string object;
};

/// Throws DataError with the place and HDF5's innermost reason for its last failure.
[[noreturn]] void fail(const Place& place, Action action);

/// Take ownership of `number`, which HDF5 has just given, or report why it gave none.
inline Hdf5Identifier own(hid_t number, Hdf5Identifier::Close close, const Place& place, Action action) {
    if (number < 0) fail(place, action);
    return {number, close};
}

inline void require(herr_t status, const Place& place, Action action) {
    if (status < 0) fail(place, action);
}

inline bool answer(htri_t status, const Place& place, Action action) {
    if (status < 0) fail(place, action);
    return status > 0;
}

/// Type of T in memory, which is also the type it is stored as.
template <class T>
Hdf5Identifier memory_type() {
    const auto copy = [](hid_t type) { return Hdf5Identifier(H5Tcopy(type), H5Tclose); };
    if constexpr (std::same_as<T, double>) return copy(H5T_NATIVE_DOUBLE);
    if constexpr (std::same_as<T, float>) return copy(H5T_NATIVE_FLOAT);
    if constexpr (std::same_as<T, std::int32_t>) return copy(H5T_NATIVE_INT32);
    if constexpr (std::same_as<T, std::uint32_t>) return copy(H5T_NATIVE_UINT32);
    if constexpr (std::same_as<T, std::uint64_t>) return copy(H5T_NATIVE_UINT64);
    if constexpr (std::same_as<T, std::uint8_t>) return copy(H5T_NATIVE_UINT8);
    if constexpr (std::same_as<T, std::string>) {
        Hdf5Identifier type = copy(H5T_C_S1);
        H5Tset_size(type.number(), H5T_VARIABLE);
        H5Tset_cset(type.number(), H5T_CSET_UTF8);
        return type;
    }
}

std::size_t elements_in(hid_t space, const Place& place);

/// Room for what a file announces, which may be more than there is.
template <class T>
std::vector<T> room_for(std::size_t count, const Place& place) {
    try {
        return std::vector<T>(count);
    } catch (const std::exception&) {
        throw DataError(
            fmt::format("{}: {} has {} elements (more than memory can hold). Check that the file is whole.",
                        place.file.string(), place.object, count));
    }
}

/// Texts from a data set or an attribute, stored with fixed or variable length: `transfer(type, buffer)`
/// reads them.
std::vector<std::string> read_texts(hid_t stored_type, hid_t space,
                                    const std::function<herr_t(hid_t, void*)>& transfer, const Place& place);

/// Properties of files and groups: creation order is what netCDF-4 expects; without times, equal contents
/// give equal bytes.
Hdf5Identifier ordered_group_properties(hid_t property_class);

}  // namespace crossweep::io
