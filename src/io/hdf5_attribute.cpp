// Attributes of the file, of groups and of data sets.
#include "hdf5_object.hpp"

namespace crossweep::io {
namespace {

/// Where an error about attribute `name` of `object` is reported.
Place place_of(const std::filesystem::path& file, const std::string& object, const std::string& name) {
    return {file, fmt::format("attribute \"{}\" of {}", name, object)};
}

/// The attribute made anew, whether or not one of that name was there.
Hdf5Identifier make_attribute(hid_t object, const std::string& name, hid_t type, hid_t space,
                              const Place& place) {
    if (answer(H5Aexists(object, name.c_str()), place, Action::write)) {
        require(H5Adelete(object, name.c_str()), place, Action::write);
    }
    return own(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, place,
               Action::write);
}

struct Attribute {
    Hdf5Identifier attribute, space, type;
};

Attribute open_attribute(hid_t file, const std::string& object, const std::string& name, const Place& place) {
    Hdf5Identifier attribute =
        own(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, place,
            Action::read);
    Hdf5Identifier space = own(H5Aget_space(attribute.number()), H5Sclose, place, Action::read);
    Hdf5Identifier type = own(H5Aget_type(attribute.number()), H5Tclose, place, Action::read);
    return {std::move(attribute), std::move(space), std::move(type)};
}

}  // namespace

void Hdf5File::set_attribute(const std::string& object, const std::string& name, std::string_view value) {
    const Place place = place_of(path_, object, name);
    const Hdf5Identifier owner =
        own(H5Oopen(file_->number(), object.c_str(), H5P_DEFAULT), H5Oclose, place, Action::write);
    const Hdf5Identifier type = memory_type<std::string>();
    const Hdf5Identifier space = own(H5Screate(H5S_SCALAR), H5Sclose, place, Action::write);
    const Hdf5Identifier attribute =
        make_attribute(owner.number(), name, type.number(), space.number(), place);
    const std::string terminated(value);
    const char* const pointer = terminated.c_str();
    require(H5Awrite(attribute.number(), type.number(), &pointer), place, Action::write);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             std::span<const double> values) {
    const Place place = place_of(path_, object, name);
    const Hdf5Identifier owner =
        own(H5Oopen(file_->number(), object.c_str(), H5P_DEFAULT), H5Oclose, place, Action::write);
    const Hdf5Identifier type = memory_type<double>();
    const hsize_t count = values.size();
    const Hdf5Identifier space = own(H5Screate_simple(1, &count, nullptr), H5Sclose, place, Action::write);
    const Hdf5Identifier attribute =
        make_attribute(owner.number(), name, type.number(), space.number(), place);
    if (!values.empty())
        require(H5Awrite(attribute.number(), type.number(), values.data()), place, Action::write);
}

std::string Hdf5File::text_attribute(const std::string& object, const std::string& name) const {
    const Place place = place_of(path_, object, name);
    const Attribute opened = open_attribute(file_->number(), object, name, place);
    const auto read_into = [&](hid_t type, void* target) {
        return H5Aread(opened.attribute.number(), type, target);
    };
    const std::vector<std::string> texts =
        read_texts(opened.type.number(), opened.space.number(), read_into, place);
    return texts.empty() ? std::string() : texts.front();
}

std::vector<double> Hdf5File::number_attribute(const std::string& object, const std::string& name) const {
    const Place place = place_of(path_, object, name);
    const Attribute opened = open_attribute(file_->number(), object, name, place);
    std::vector<double> values = room_for<double>(elements_in(opened.space.number(), place), place);
    if (values.empty()) return values;
    require(H5Aread(opened.attribute.number(), memory_type<double>().number(), values.data()), place,
            Action::read);
    return values;
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
    return answer(H5Aexists_by_name(file_->number(), object.c_str(), name.c_str(), H5P_DEFAULT),
                  place_of(path_, object, name), Action::read);
}

}  // namespace crossweep::io
