#include "crossweep/io/image_set.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "crossweep/core/error.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/io/mapped_file.hpp"
#include "file_descriptor.hpp"

namespace crossweep::io {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem) {
    throw DataError(fmt::format("{}: {}", path.string(), problem));
}

/// Product of `extents`, or nothing if it cannot be counted.
std::optional<std::size_t> product_of(std::span<const std::size_t> extents) {
    std::size_t product = 1;
    for (const std::size_t extent : extents) {
        if (__builtin_mul_overflow(product, extent, &product)) return std::nullopt;
    }
    return product;
}

/// One IDX file (LeCun, http://yann.lecun.com/exdb/mnist): zero, zero, element type, rank; extents,
/// big-endian 32 bits; elements. zlib reads compressed and plain files alike.
class IdxFile {
  public:
    explicit IdxFile(const std::filesystem::path& path)
        : path_(path),
          stream_(::gzdopen(FileDescriptor(path, FileDescriptor::Mode::read).release(), "rb"), ::gzclose) {
        if (stream_ == nullptr) fail_with_errno(path, "read", ENOMEM);
    }

    /// Read everything. `ranks` are the numbers of dimensions that make sense; `kind` says what they are of.
    std::vector<std::size_t> read(std::vector<std::uint8_t>& elements, std::span<const unsigned> ranks,
                                  const char* kind) {
        constexpr std::uint8_t unsigned_bytes = 0x08;
        const auto magic = read_bytes(4);
        if (magic.size() < 4 || magic[0] != 0 || magic[1] != 0) {
            fail(path_,
                 "is not an IDX file (it does not start with two zero bytes). Check which file it is.");
        }
        if (magic[2] != unsigned_bytes || std::ranges::find(ranks, magic[3]) == ranks.end()) {
            fail(
                path_,
                fmt::format(
                    "holds IDX elements of type 0x{:02x} in {} dimensions ({} are of type 0x08 in {}). Check "
                    "which file it is.",
                    magic[2], magic[3], kind, fmt::join(ranks, " or ")));
        }
        std::vector<std::size_t> extents = read_extents(magic[3]);
        const std::optional<std::size_t> count = product_of(extents);
        if (!count)
            fail(path_, fmt::format("announces {} elements (too many to count). Copy it again.",
                                    fmt::join(extents, " x ")));
        elements = read_bytes(*count);
        if (elements.size() < *count) {
            fail(path_, fmt::format("ends after {} of {} elements (the file is truncated). Copy it again.",
                                    elements.size(), *count));
        }
        if (!read_bytes(1).empty()) {
            fail(path_, fmt::format("goes on after its {} elements (its header is corrupt). Copy it again.",
                                    *count));
        }
        return extents;
    }

  private:
    std::vector<std::size_t> read_extents(std::size_t rank) {
        const auto bytes = read_bytes(4 * rank);
        if (bytes.size() < 4 * rank)
            fail(path_, "ends within its header (the file is truncated). Copy it again.");
        std::vector<std::size_t> extents(rank);
        for (std::size_t i = 0; i < bytes.size(); ++i) extents[i / 4] = extents[i / 4] << 8 | bytes[i];
        return extents;
    }

    /// Up to `count` bytes, fewer at the end of the file. Room is made as bytes come: the header may lie.
    std::vector<std::uint8_t> read_bytes(std::size_t count) {
        constexpr std::size_t step_bytes = 1 << 20;
        std::vector<std::uint8_t> bytes;
        while (bytes.size() < count) {
            const std::size_t had = bytes.size();
            const std::size_t step = std::min(step_bytes, count - had);
            bytes.resize(had + step);
            const int got = ::gzread(stream_.get(), bytes.data() + had, static_cast<unsigned>(step));
            bytes.resize(had + static_cast<std::size_t>(std::max(got, 0)));
            if (got < static_cast<int>(step)) {
                check_stream();
                break;
            }
        }
        return bytes;
    }

    void check_stream() {
        int code = Z_OK;
        const char* const reason = ::gzerror(stream_.get(), &code);
        if (code == Z_ERRNO) fail_with_errno(path_, "read", errno);
        if (code == Z_BUF_ERROR) {
            fail(path_, "truncated gzip (the compressed data end before their end mark). Copy it again.");
        }
        if (code != Z_OK && code != Z_STREAM_END)
            fail(path_, fmt::format("damaged gzip ({}). Copy it again.", reason));
    }

    std::filesystem::path path_;
    std::unique_ptr<gzFile_s, int (*)(gzFile)> stream_;
};

void require_same_count(const std::filesystem::path& path, std::size_t images, std::size_t labels) {
    if (images == labels) return;
    fail(path,
         fmt::format("has {} labels for {} images (every image needs one). Use files that belong together.",
                     labels, images));
}

void require_images(const std::filesystem::path& path, const ImageSet& set) {
    if (!set.pixels.bytes.empty()) return;
    fail(path, fmt::format("holds no pixels (its images are {} x {} x {} x {}). Check which file it is.",
                           set.count, set.height, set.width, set.channels));
}

std::vector<std::int32_t> read_hdf5_labels(const Hdf5File& file, const std::filesystem::path& path) {
    if (!file.contains("/labels")) {
        fail(path, "has no data set \"labels\" (one integer per image is needed). Add it.");
    }
    const ElementKind kind = file.element_kind("/labels");
    if ((kind != ElementKind::integer && kind != ElementKind::unsigned_byte) ||
        file.shape("/labels").size() != 1) {
        fail(path,
             "\"labels\" is not a list of integers (its type or its dimensions are others). Store it as "
             "int32 [n].");
    }
    // As doubles, 64-bit labels beyond int32 are seen rather than clipped.
    const std::vector<double> numbers = file.read<double>("/labels");
    std::vector<std::int32_t> labels;
    labels.reserve(numbers.size());
    for (const double number : numbers) {
        if (number < 0 || number > std::numeric_limits<std::int32_t>::max()) {
            fail(path, fmt::format(
                           "label {} of image {} is not a class (classes count from 0, in 32 bits). Correct "
                           "\"labels\".",
                           number, labels.size()));
        }
        labels.push_back(static_cast<std::int32_t>(number));
    }
    return labels;
}

/// The attribute `name` of the images, one number per channel; empty if there is none.
std::vector<double> read_per_channel(const Hdf5File& file, const std::filesystem::path& path,
                                     const std::string& name, std::size_t channels) {
    if (!file.has_attribute("/images", name)) return {};
    std::vector<double> values = file.number_attribute("/images", name);
    if (values.size() != channels) {
        fail(path,
             fmt::format(
                 "attribute \"{}\" of \"images\" has {} numbers (the images have {} channels). Store one per "
                 "channel.",
                 name, values.size(), channels));
    }
    if (!std::ranges::all_of(values, [](double value) { return std::isfinite(value); })) {
        fail(path,
             fmt::format(
                 "attribute \"{}\" of \"images\" is not finite (pixels are normalised with it). Correct it.",
                 name));
    }
    return values;
}

void read_normalisation(const Hdf5File& file, const std::filesystem::path& path, ImageSet& set) {
    set.mean = read_per_channel(file, path, "mean", set.channels);
    set.std = read_per_channel(file, path, "std", set.channels);
    if (set.mean.empty() != set.std.empty()) {
        fail(path,
             "has only one of the attributes \"mean\" and \"std\" on \"images\" (normalisation needs both). "
             "Store both, "
             "or neither.");
    }
    if (!std::ranges::all_of(set.std, [](double value) { return value > 0; })) {
        fail(path, "attribute \"std\" of \"images\" is not positive (pixels are divided by it). Correct it.");
    }
}

}  // namespace

std::span<const std::uint8_t> ImageSet::image(std::size_t index) const {
    CROSSWEEP_EXPECT(index < count);
    std::size_t place = index;
    if (!held.empty()) {
        const auto found = std::ranges::lower_bound(held, index);
        // Pixels of another image would be a wrong answer that nobody notices.
        if (found == held.end() || *found != index)
            throw InternalError(fmt::format("image {} was not among those to be used", index));
        place = static_cast<std::size_t>(found - held.begin());
    }
    const auto bytes = pixels.bytes.subspan(place * image_bytes(), image_bytes());
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

ContentHash ImageSet::content_hash() const {
    if (whole) return *whole;
    const ContentHash of_pixels = hash_bytes(pixels.bytes);
    const ContentHash of_labels = hash_bytes(std::as_bytes(std::span(labels)));
    std::vector<std::uint64_t> parts{count,         height,         width,         channels,   of_pixels.high,
                                     of_pixels.low, of_labels.high, of_labels.low, mean.size()};
    for (const double value : mean) parts.push_back(std::bit_cast<std::uint64_t>(value));
    for (const double value : std) parts.push_back(std::bit_cast<std::uint64_t>(value));
    return hash_bytes(std::as_bytes(std::span(parts)));
}

ImageSet ImageSet::holding(std::vector<std::uint32_t> images) const {
    std::vector<std::uint8_t> copies;
    copies.reserve(images.size() * image_bytes());
    for (const std::uint32_t index : images) {
        const auto of_image = image(index);
        copies.insert(copies.end(), of_image.begin(), of_image.end());
    }
    ImageSet part = *this;
    part.whole = content_hash();
    part.pixels = own_bytes(std::move(copies));
    part.held = std::move(images);
    return part;
}

ImageSet read_idx(const std::filesystem::path& images, const std::filesystem::path& labels) {
    ImageSet set;
    constexpr std::array image_ranks{3U, 4U};
    constexpr std::array label_ranks{1U};
    std::vector<std::uint8_t> pixels;
    const auto extents = IdxFile(images).read(pixels, image_ranks, "images");
    set.pixels = own_bytes(std::move(pixels));
    set.count = extents[0];
    set.height = extents[1];
    set.width = extents[2];
    set.channels = extents.size() == 4 ? extents[3] : 1;
    require_images(images, set);
    std::vector<std::uint8_t> classes;
    const auto label_extents = IdxFile(labels).read(classes, label_ranks, "labels");
    require_same_count(labels, set.count, label_extents[0]);
    set.labels.assign(classes.begin(), classes.end());
    return set;
}

ImageSet read_hdf5_images(const std::filesystem::path& path) {
    const Hdf5File file(path, Hdf5File::Mode::read);
    if (!file.contains("/images"))
        fail(path, "has no data set \"images\" (uint8 [n, h, w, c] is needed). Add it.");
    const auto extents = file.shape("/images");
    if (file.element_kind("/images") != ElementKind::unsigned_byte || extents.size() != 4) {
        fail(path,
             "\"images\" is not uint8 [n, h, w, c] (its type or its dimensions are others). Store the pixels "
             "as bytes, "
             "channels last.");
    }
    ImageSet set;
    set.count = extents[0];
    set.height = extents[1];
    set.width = extents[2];
    set.channels = extents[3];
    set.labels = read_hdf5_labels(file, path);
    require_same_count(path, set.count, set.labels.size());
    read_normalisation(file, path, set);
    if (const auto offset = file.contiguous_offset("/images")) {
        // Mapped, images that a study leaves out cost nothing.
        set.pixels = map_file(path);
        const std::size_t size = set.count * set.image_bytes();
        if (*offset + size > set.pixels.bytes.size()) {
            fail(path, "\"images\" reaches beyond the end of the file (it is truncated). Copy it again.");
        }
        set.pixels.bytes = set.pixels.bytes.subspan(*offset, size);
    } else {
        set.pixels = own_bytes(file.read<std::uint8_t>("/images"));
    }
    require_images(path, set);
    return set;
}

ImageSet read_images(const std::filesystem::path& images, const std::filesystem::path& labels) {
    constexpr std::array<unsigned char, 8> hdf5_signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};
    std::array<unsigned char, 8> start{};
    const FileDescriptor file(images, FileDescriptor::Mode::read);
    if (::pread(file.number(), start.data(), start.size(), 0) < 0) fail_with_errno(images, "read", errno);
    if (start == hdf5_signature) return read_hdf5_images(images);
    const bool gzip = start[0] == 0x1F && start[1] == 0x8B;
    const bool idx = start[0] == 0 && start[1] == 0 && start[2] != 0;
    if (!gzip && !idx) {
        fail(images,
             "is neither IDX nor HDF5 (its first bytes are of no known format). Convert it to one of the "
             "two.");
    }
    if (labels.empty())
        fail(images,
             "is IDX and comes without labels (they are in a file of their own). Name that file too.");
    return read_idx(images, labels);
}

}  // namespace crossweep::io
