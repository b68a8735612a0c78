// Data sets of an HDF5 file: shape, storage, conversion, dimension scales.
#include <fmt/ranges.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <numeric>

#include "hdf5_object.hpp"

namespace crossweep::io {
namespace {

/// Data sets up to this size are stored in one piece: chunks and compression would cost more than they save.
constexpr std::size_t largest_contiguous_bytes = std::size_t{64} * 1024;
constexpr std::size_t largest_chunk_bytes =
    std::size_t{1024} * 1024;  // HDF5's default chunk cache holds one such chunk
/// The fastest, and for whole numbers and texts only: merging would else mostly wait for zlib. Margins and
/// sums of noise, which real numbers mostly are, shrink by a sixth; predictions to a tenth.
constexpr unsigned deflate_level = 1;

Hdf5Identifier space_of(const std::vector<std::size_t>& shape, const Place& place) {
    const std::vector<hsize_t> extents(shape.begin(), shape.end());
    return own(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose, place,
               Action::write);
}

/// Chunk that keeps whole inner dimensions, the outermost ones cut until it is small enough.
std::vector<hsize_t> chunk_of(const std::vector<std::size_t>& shape, std::size_t element_bytes) {
    std::vector<hsize_t> chunk(shape.begin(), shape.end());
    hsize_t bytes = std::accumulate(chunk.begin(), chunk.end(), hsize_t{element_bytes}, std::multiplies<>());
    for (hsize_t& extent : chunk) {
        if (bytes <= largest_chunk_bytes) break;
        const hsize_t inner_bytes = bytes / extent;
        extent = std::max<hsize_t>(1, largest_chunk_bytes / inner_bytes);
        bytes = extent * inner_bytes;
    }
    return chunk;
}

Hdf5Identifier dataset_properties(const std::vector<std::size_t>& shape, hid_t type) {
    Hdf5Identifier properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_attr_creation_order(properties.number(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(properties.number(), 0);
    // HDF5 would compress only the addresses of texts of any length, not the texts.
    const bool deflates = H5Tget_class(type) != H5T_FLOAT && H5Tis_variable_str(type) == 0;
    const std::size_t element_bytes = H5Tget_size(type);
    const auto bytes = std::accumulate(shape.begin(), shape.end(), element_bytes, std::multiplies<>());
    if (deflates && bytes > largest_contiguous_bytes) {
        const std::vector<hsize_t> chunk = chunk_of(shape, element_bytes);
        H5Pset_chunk(properties.number(), static_cast<int>(chunk.size()), chunk.data());
        H5Pset_shuffle(properties.number());
        H5Pset_deflate(properties.number(), deflate_level);
    }
    return properties;
}

void make_groups_above(hid_t file, const std::string& path, const Place& place) {
    const Hdf5Identifier properties = ordered_group_properties(H5P_GROUP_CREATE);
    for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
        const std::string group = path.substr(0, end);
        if (answer(H5Lexists(file, group.c_str(), H5P_DEFAULT), place, Action::write)) continue;
        own(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, properties.number(), H5P_DEFAULT), H5Gclose, place,
            Action::write);
    }
}

Hdf5Identifier create_dataset(hid_t file, hid_t type, const std::vector<std::size_t>& shape,
                              const Place& place) {
    make_groups_above(file, place.object, place);
    const Hdf5Identifier properties = dataset_properties(shape, type);
    return own(H5Dcreate2(file, place.object.c_str(), type, space_of(shape, place).number(), H5P_DEFAULT,
                          properties.number(), H5P_DEFAULT),
               H5Dclose, place, Action::write);
}

struct Dataset {
    Hdf5Identifier dataset, space, type;
};

Dataset open_dataset(hid_t file, const Place& place) {
    Hdf5Identifier dataset =
        own(H5Dopen2(file, place.object.c_str(), H5P_DEFAULT), H5Dclose, place, Action::read);
    Hdf5Identifier space = own(H5Dget_space(dataset.number()), H5Sclose, place, Action::read);
    Hdf5Identifier type = own(H5Dget_type(dataset.number()), H5Tclose, place, Action::read);
    return {std::move(dataset), std::move(space), std::move(type)};
}

}  // namespace

template <Hdf5Element T>
void Hdf5File::write(const std::string& path, std::span<const T> values, std::vector<std::size_t> shape) {
    const Place place{path_, path};
    if (shape.empty()) shape = {values.size()};
    if (std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>()) != values.size()) {
        throw InternalError(fmt::format("{}: {} values do not fill the shape [{}]", path, values.size(),
                                        fmt::join(shape, ", ")));
    }
    const Hdf5Identifier type = memory_type<T>();
    const Hdf5Identifier dataset = create_dataset(file_->number(), type.number(), shape, place);
    if (values.empty()) return;
    const auto write_from = [&](const void* source) {
        require(H5Dwrite(dataset.number(), type.number(), H5S_ALL, H5S_ALL, H5P_DEFAULT, source), place,
                Action::write);
    };
    if constexpr (std::same_as<T, std::string>) {
        std::vector<const char*> pointers(values.size());
        std::ranges::transform(values, pointers.begin(),
                               [](const std::string& text) { return text.c_str(); });
        write_from(pointers.data());
    } else {
        write_from(values.data());
    }
    // Closing a data set would be silent about a full disk.
    if (file_->on_disk) require(H5Dflush(dataset.number()), place, Action::write);
}

void Hdf5File::write_texts_of_like_length(const std::string& path, std::span<const std::string> texts) {
    constexpr std::size_t address_bytes = 16;  // of a text of any length
    std::size_t longest = 1, bytes = 0;
    for (const std::string& text : texts) {
        longest = std::max(longest, text.size());
        bytes += text.size() + address_bytes;
    }
    if (texts.size() * longest > bytes) return write(path, texts);
    const Place place{path_, path};
    const Hdf5Identifier type(H5Tcopy(H5T_C_S1), H5Tclose);
    require(H5Tset_size(type.number(), longest), place, Action::write);
    require(H5Tset_cset(type.number(), H5T_CSET_UTF8), place, Action::write);
    require(H5Tset_strpad(type.number(), H5T_STR_NULLPAD), place, Action::write);
    const Hdf5Identifier dataset = create_dataset(file_->number(), type.number(), {texts.size()}, place);
    std::vector<char> characters(texts.size() * longest);
    for (std::size_t i = 0; i < texts.size(); ++i)
        std::ranges::copy(texts[i], characters.begin() + static_cast<std::ptrdiff_t>(i * longest));
    if (characters.empty()) return;
    require(H5Dwrite(dataset.number(), type.number(), H5S_ALL, H5S_ALL, H5P_DEFAULT, characters.data()),
            place, Action::write);
    if (file_->on_disk) require(H5Dflush(dataset.number()), place, Action::write);
}

struct Hdf5Rows::Handle {
    Hdf5Identifier dataset;
    std::vector<std::size_t> shape;
    std::filesystem::path file;
    std::string object;
    std::size_t next = 0;
};

Hdf5Rows::Hdf5Rows(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Hdf5Rows::~Hdf5Rows() = default;
Hdf5Rows::Hdf5Rows(Hdf5Rows&&) noexcept = default;
Hdf5Rows& Hdf5Rows::operator=(Hdf5Rows&&) noexcept = default;

template <Hdf5Element T>
void Hdf5Rows::append(std::span<const T> row) {
    const Place place{handle_->file, handle_->object};
    std::vector<std::size_t> row_shape = handle_->shape;
    row_shape.at(0) = 1;
    const std::size_t expected =
        std::accumulate(row_shape.begin(), row_shape.end(), std::size_t{1}, std::multiplies<>());
    if (row.size() != expected || handle_->next >= handle_->shape[0]) {
        throw InternalError(fmt::format("{}: {} values are not row {} of the shape [{}]", handle_->object,
                                        row.size(), handle_->next, fmt::join(handle_->shape, ", ")));
    }
    std::vector<hsize_t> start(row_shape.size());
    start[0] = handle_->next++;
    if (row.empty()) return;
    const std::vector<hsize_t> count(row_shape.begin(), row_shape.end());
    const Hdf5Identifier memory = space_of(row_shape, place);
    const Hdf5Identifier target = space_of(handle_->shape, place);
    require(
        H5Sselect_hyperslab(target.number(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
        place, Action::write);
    require(H5Dwrite(handle_->dataset.number(), memory_type<T>().number(), memory.number(), target.number(),
                     H5P_DEFAULT, row.data()),
            place, Action::write);
    // Closing a data set would be silent about a full disk.
    if (handle_->next == handle_->shape[0])
        require(H5Dflush(handle_->dataset.number()), place, Action::write);
}

template <Hdf5Element T>
Hdf5Rows Hdf5File::create_rows(const std::string& path, const std::vector<std::size_t>& shape) {
    const Place place{path_, path};
    Hdf5Identifier dataset = create_dataset(file_->number(), memory_type<T>().number(), shape, place);
    return Hdf5Rows(
        std::make_unique<Hdf5Rows::Handle>(Hdf5Rows::Handle{std::move(dataset), shape, path_, path}));
}

template <Hdf5Element T>
std::vector<T> Hdf5File::read(const std::string& path) const {
    const Place place{path_, path};
    const Dataset opened = open_dataset(file_->number(), place);
    const auto read_into = [&](hid_t type, void* target) {
        return H5Dread(opened.dataset.number(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, target);
    };
    if constexpr (std::same_as<T, std::string>) {
        return read_texts(opened.type.number(), opened.space.number(), read_into, place);
    } else {
        std::vector<T> values = room_for<T>(elements_in(opened.space.number(), place), place);
        if (!values.empty())
            require(read_into(memory_type<T>().number(), values.data()), place, Action::read);
        return values;
    }
}

std::vector<std::size_t> Hdf5File::shape(const std::string& path) const {
    const Place place{path_, path};
    const Dataset opened = open_dataset(file_->number(), place);
    const int rank = H5Sget_simple_extent_ndims(opened.space.number());
    if (rank < 0) fail(place, Action::read);
    std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
    if (H5Sget_simple_extent_dims(opened.space.number(), extents.data(), nullptr) < 0)
        fail(place, Action::read);
    return {extents.begin(), extents.end()};
}

std::optional<std::size_t> Hdf5File::contiguous_offset(const std::string& path) const {
    const Dataset opened = open_dataset(file_->number(), {path_, path});
    const haddr_t offset = H5Dget_offset(opened.dataset.number());  // undefined for chunked and compact data
    if (offset == HADDR_UNDEF) return std::nullopt;
    return static_cast<std::size_t>(offset);
}

ElementKind Hdf5File::element_kind(const std::string& path) const {
    const Dataset opened = open_dataset(file_->number(), {path_, path});
    const hid_t type = opened.type.number();
    switch (H5Tget_class(type)) {
        case H5T_INTEGER:
            return H5Tget_size(type) == 1 && H5Tget_sign(type) == H5T_SGN_NONE ? ElementKind::unsigned_byte
                                                                               : ElementKind::integer;
        case H5T_FLOAT:
            return ElementKind::real;
        case H5T_STRING:
            return ElementKind::text;
        default:
            return ElementKind::other;
    }
}

void Hdf5File::attach_scale(const std::string& dataset, std::size_t dimension, const std::string& scale) {
    const Dataset of_data = open_dataset(file_->number(), {path_, dataset});
    const Place place{path_, scale};
    const Dataset of_scale = open_dataset(file_->number(), place);
    const hid_t data_number = of_data.dataset.number(), scale_number = of_scale.dataset.number();
    if (!answer(H5DSis_scale(scale_number), place, Action::write)) {
        const std::string name = scale.substr(scale.rfind('/') + 1);
        require(H5DSset_scale(scale_number, name.c_str()), place, Action::write);
    }
    const auto index = static_cast<unsigned>(dimension);
    if (answer(H5DSis_attached(data_number, scale_number, index), place, Action::write)) return;
    require(H5DSattach_scale(data_number, scale_number, index), place, Action::write);
}

template void Hdf5File::write(const std::string&, std::span<const double>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const float>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const std::int32_t>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const std::uint32_t>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const std::uint64_t>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const std::uint8_t>, std::vector<std::size_t>);
template void Hdf5File::write(const std::string&, std::span<const std::string>, std::vector<std::size_t>);
template std::vector<double> Hdf5File::read(const std::string&) const;
template std::vector<float> Hdf5File::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint32_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint64_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5File::read(const std::string&) const;
template std::vector<std::string> Hdf5File::read(const std::string&) const;
template Hdf5Rows Hdf5File::create_rows<double>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const double>);
template Hdf5Rows Hdf5File::create_rows<float>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const float>);
template Hdf5Rows Hdf5File::create_rows<std::int32_t>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const std::int32_t>);
template Hdf5Rows Hdf5File::create_rows<std::uint32_t>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const std::uint32_t>);
template Hdf5Rows Hdf5File::create_rows<std::uint64_t>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const std::uint64_t>);
template Hdf5Rows Hdf5File::create_rows<std::uint8_t>(const std::string&, const std::vector<std::size_t>&);
template void Hdf5Rows::append(std::span<const std::uint8_t>);

}  // namespace crossweep::io
