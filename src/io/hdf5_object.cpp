#include "hdf5_object.hpp"

#include <algorithm>

namespace crossweep::io {
namespace {

const char* name_of(Action action) {
    switch (action) {
        case Action::open:
            return "opened";
        case Action::read:
            return "read";
        case Action::write:
            return "written";
        case Action::close:
            return "closed";
    }
    return "used";
}

/// What HDF5 gave as the innermost reason of its last failure; empty if it gave none.
std::string innermost_reason() {
    std::string reason;
    const auto take_first = [](unsigned, const H5E_error2_t* error, void* target) -> herr_t {
        if (error->desc != nullptr) *static_cast<std::string*>(target) = error->desc;
        return 1;  // stops the walk
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
    H5Eclear2(H5E_DEFAULT);
    return reason;
}

}  // namespace

void fail(const Place& place, Action action) {
    const std::string reason = innermost_reason();
    // What the operating system refused is said as for every other file.
    constexpr std::string_view mark = "errno = ";
    if (const std::size_t at = reason.find(mark); at != std::string::npos && action != Action::read)
        fail_with_errno(place.file, "written", std::atoi(reason.c_str() + at + mark.size()));
    throw DataError(fmt::format("{}: {} cannot be {} (HDF5: {}). {}", place.file.string(), place.object,
                                name_of(action), reason.empty() ? "no reason given" : reason,
                                action == Action::write || action == Action::close
                                    ? "Check the name and that there is memory to compose the file."
                                    : "Check that the file is whole and holds what is asked of it."));
}

std::size_t elements_in(hid_t space, const Place& place) {
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    if (count < 0) fail(place, Action::read);
    return static_cast<std::size_t>(count);
}

std::vector<std::string> read_texts(hid_t stored_type, hid_t space,
                                    const std::function<herr_t(hid_t, void*)>& transfer, const Place& place) {
    if (H5Tget_class(stored_type) != H5T_STRING) {
        throw DataError(
            fmt::format("{}: {} holds no text (its elements are of another type). Check what wrote the file.",
                        place.file.string(), place.object));
    }
    const std::size_t count = elements_in(space, place);
    std::vector<std::string> texts(count);
    if (count == 0) return texts;
    if (answer(H5Tis_variable_str(stored_type), place, Action::read)) {
        std::vector<char*> pointers(count, nullptr);
        require(transfer(stored_type, pointers.data()), place, Action::read);
        for (std::size_t i = 0; i < count; ++i) texts[i] = pointers[i] != nullptr ? pointers[i] : "";
        require(H5Dvlen_reclaim(stored_type, space, H5P_DEFAULT, pointers.data()), place, Action::read);
        return texts;
    }
    const std::size_t width = H5Tget_size(stored_type);
    std::vector<char> characters = room_for<char>(count * width, place);
    require(transfer(stored_type, characters.data()), place, Action::read);
    for (std::size_t i = 0; i < count; ++i) {
        const char* const begin = characters.data() + i * width;
        texts[i].assign(begin, std::find(begin, begin + width, '\0'));
    }
    return texts;
}

Hdf5Identifier ordered_group_properties(hid_t property_class) {
    Hdf5Identifier properties(H5Pcreate(property_class), H5Pclose);
    H5Pset_link_creation_order(properties.number(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_attr_creation_order(properties.number(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(properties.number(), 0);
    return properties;
}

}  // namespace crossweep::io
