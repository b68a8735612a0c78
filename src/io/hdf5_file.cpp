// Opening, closing and the tree of groups. Data sets and attributes have their own sources.
#include "crossweep/io/hdf5_file.hpp"

#include <fcntl.h>
#include <hdf5_hl.h>
#include <unistd.h>

#include <algorithm>

#include "hdf5_object.hpp"

namespace crossweep::io {
namespace {

/// HDF5 1.10 crashes when it tidies up at the end of the process after a file could not be written; before
/// main, because no other call may come first. Files are closed by their owners.
[[maybe_unused]] const herr_t no_tidying_at_exit = H5dont_atexit();

Hdf5Identifier open_to_read(const Place& place) {
    // Says better than HDF5 what is wrong with a name.
    const FileDescriptor readable(place.file, FileDescriptor::Mode::read);
    const Hdf5Identifier access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    // Files are whole before they get their name, so readers need no locks, which parallel file systems may
    // refuse.
    H5Pset_file_locking(access.number(), 0, 1);
    return own(H5Fopen(place.file.c_str(), H5F_ACC_RDONLY, access.number()), H5Fclose, place, Action::open);
}

Hdf5Identifier open_image(const Place& place, std::string_view image) {
    constexpr unsigned as_it_lies = H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE;
    // HDF5 only reads it, but has no word for that.
    void* const bytes = const_cast<char*>(image.data());
    return own(H5LTopen_file_image(bytes, image.size(), as_it_lies), H5Fclose, place, Action::open);
}

Hdf5Identifier create_in_memory(const Place& place) {
    constexpr std::size_t growth_bytes = std::size_t{1024} * 1024;
    const Hdf5Identifier access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access.number(), growth_bytes, 0);
    const Hdf5Identifier creation = ordered_group_properties(H5P_FILE_CREATE);
    return own(H5Fcreate(place.file.c_str(), H5F_ACC_TRUNC, creation.number(), access.number()), H5Fclose,
               place, Action::open);
}

Hdf5Identifier create_on_disk(const Place& place) {
    // Says better than HDF5 what is wrong with a name.
    FileDescriptor(place.file, FileDescriptor::Mode::create).close();
    const Hdf5Identifier access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_file_locking(access.number(), 0, 1);
    H5Pset_fclose_degree(access.number(), H5F_CLOSE_STRONG);
    const Hdf5Identifier creation = ordered_group_properties(H5P_FILE_CREATE);
    return own(H5Fcreate(place.file.c_str(), H5F_ACC_TRUNC, creation.number(), access.number()), H5Fclose,
               place, Action::open);
}

/// Let HDF5 write the rest of a spoilt file to nowhere: it cannot close a file whose last writes fail.
void write_rest_to_nowhere(hid_t file) {
    void* descriptor = nullptr;
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0 && H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) >= 0) {
        ::dup2(nowhere, *static_cast<int*>(descriptor));
    }
    if (nowhere >= 0) ::close(nowhere);
}

/// Bytes of the file as they belong on the disk.
std::vector<std::byte> image_of(hid_t file, const Place& place) {
    require(H5Fflush(file, H5F_SCOPE_GLOBAL), place, Action::close);
    const ssize_t size = H5Fget_file_image(file, nullptr, 0);
    if (size < 0) fail(place, Action::close);
    std::vector<std::byte> image = room_for<std::byte>(static_cast<std::size_t>(size), place);
    if (H5Fget_file_image(file, image.data(), image.size()) < 0) fail(place, Action::close);
    return image;
}

}  // namespace

Hdf5File::Hdf5File(const std::filesystem::path& path, Mode mode) : path_(path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // reasons go into the DataError, not to the terminal
    const Place place{path_, "the file"};
    if (mode == Mode::read) {
        file_ = std::make_unique<Handle>(Handle{open_to_read(place), std::nullopt});
    } else if (mode == Mode::create_on_disk) {
        file_ = std::make_unique<Handle>(Handle{create_on_disk(place), std::nullopt, true});
    } else {
        std::optional<FileDescriptor> output(std::in_place, path, FileDescriptor::Mode::create);
        file_ = std::make_unique<Handle>(Handle{create_in_memory(place), std::move(output)});
    }
}

Hdf5File::Hdf5File(const std::filesystem::path& path, std::string_view image) : path_(path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    file_ = std::make_unique<Handle>(Handle{open_image({path_, "the file"}, image), std::nullopt});
}

Hdf5File::~Hdf5File() {
    try {
        close();
    } catch (const std::exception&) {
        // A destructor has nobody to tell; whoever needs to know calls close().
    }
}

Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;

Hdf5File& Hdf5File::operator=(Hdf5File&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(path_, other.path_);
    return *this;
}

void Hdf5File::close() {
    const std::unique_ptr<Handle> closing = std::move(file_);
    if (closing == nullptr) return;
    if (closing->on_disk) {
        try {
            require(H5Fflush(closing->number(), H5F_SCOPE_GLOBAL), {path_, "the file"}, Action::close);
        } catch (const DataError&) {
            write_rest_to_nowhere(closing->number());
            throw;
        }
    }
    if (!closing->output) return;
    closing->output->write(image_of(closing->number(), {path_, "the file"}));
    closing->output->close();
}

bool Hdf5File::contains(const std::string& path) const {
    if (path.find_first_not_of('/') == std::string::npos) return true;
    // HDF5 wants every group on the way asked for.
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (!answer(H5Lexists(file_->number(), part.c_str(), H5P_DEFAULT), {path_, part}, Action::read))
            return false;
        if (end == std::string::npos) return true;
    }
}

std::vector<std::string> Hdf5File::members(const std::string& group) const {
    const Place place{path_, group};
    const Hdf5Identifier opened =
        own(H5Gopen2(file_->number(), group.c_str(), H5P_DEFAULT), H5Gclose, place, Action::read);
    H5G_info_t info{};
    require(H5Gget_info(opened.number(), &info), place, Action::read);
    std::vector<std::string> names(info.nlinks);
    for (hsize_t i = 0; i < info.nlinks; ++i) {
        const auto copy_name = [&](char* target, std::size_t size) {
            const ssize_t length = H5Lget_name_by_idx(opened.number(), ".", H5_INDEX_NAME, H5_ITER_INC, i,
                                                      target, size, H5P_DEFAULT);
            if (length < 0) fail(place, Action::read);
            return static_cast<std::size_t>(length);
        };
        names[i].resize(copy_name(nullptr, 0));
        copy_name(names[i].data(), names[i].size() + 1);
    }
    std::ranges::sort(names);
    return names;
}

std::string hdf5_version() {
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace crossweep::io
