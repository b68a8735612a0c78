#include "crossweep/io/image_set.hpp"

#include <zlib.h>

#include <cstring>

#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// An IDX file of bytes 0, 1, 2, ... with the given extents.
std::string idx(const std::vector<std::uint32_t>& extents, std::size_t elements, char type = 0x08) {
    std::string bytes{0, 0, type, static_cast<char>(extents.size())};
    for (const std::uint32_t extent : extents) {
        for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(extent >> shift & 255U);
    }
    for (std::size_t i = 0; i < elements; ++i) bytes += static_cast<char>(i);
    return bytes;
}

void write_gzip(const std::filesystem::path& path, const std::string& contents) {
    const gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, contents.data(), static_cast<unsigned>(contents.size()));
    gzclose(file);
}

class ImageSetFiles : public testing::Test {
  protected:
    ImageSet read_as_idx(const std::string& images, const std::string& labels) {
        write_file(images_, images);
        write_file(labels_, labels);
        return read_images(images_, labels_);
    }
    std::string idx_error(const std::string& images, const std::string& labels) {
        return data_error_of([&] { read_as_idx(images, labels); });
    }
    /// An HDF5 file of two images 1 x 2 with three channels, then `change`d.
    template <class Labels = std::int32_t, class Change>
    std::filesystem::path hdf5_with(const std::vector<Labels>& labels, Change&& change) {
        Hdf5File file(folder_ / "images.h5", Hdf5File::Mode::create);
        const std::vector<std::uint8_t> pixels{0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255};
        file.write<std::uint8_t>("/images", pixels, {2, 1, 2, 3});
        file.write<Labels>("/labels", labels);
        change(file);
        file.close();
        return folder_ / "images.h5";
    }
    template <class Labels = std::int32_t, class Change>
    std::string hdf5_error(const std::vector<Labels>& labels, Change&& change) {
        const auto path = hdf5_with<Labels>(labels, change);
        return data_error_of([&] { read_images(path, {}); });
    }

    TemporaryFolder folder_;
    std::filesystem::path images_ = folder_ / "images-idx3-ubyte", labels_ = folder_ / "labels-idx1-ubyte";
    const std::vector<double> three_{0.5, 0.25, 0.125};
};

const auto unchanged = [](Hdf5File&) {};

TEST_F(ImageSetFiles, plain_and_gzip_idx_are_equal) {
    const ImageSet plain = read_as_idx(idx({2, 2, 3}, 12), idx({2}, 2));
    EXPECT_EQ(plain.count, 2U);
    EXPECT_EQ(plain.height, 2U);
    EXPECT_EQ(plain.width, 3U);
    EXPECT_EQ(plain.channels, 1U);
    EXPECT_THAT(plain.image(1), ElementsAre(6, 7, 8, 9, 10, 11));
    EXPECT_THAT(plain.labels, ElementsAre(0, 1));
    EXPECT_TRUE(plain.mean.empty());
    write_gzip(images_, idx({2, 2, 3}, 12));
    write_gzip(labels_, idx({2}, 2));
    EXPECT_EQ(read_images(images_, labels_).content_hash(), plain.content_hash());
}

TEST_F(ImageSetFiles, idx_of_rank_four_has_channels) {
    const ImageSet set = read_as_idx(idx({1, 2, 2, 3}, 12), idx({1}, 1));
    EXPECT_EQ(set.channels, 3U);
    EXPECT_EQ(set.image(0).size(), 12U);
}

TEST_F(ImageSetFiles, gzip_truncated_anywhere_is_found) {
    write_gzip(images_, idx({2, 20, 30}, 1200));
    write_file(labels_, idx({2}, 2));
    const std::string whole = read_text(images_);
    for (std::size_t size = 2; size < whole.size(); ++size) {
        write_file(images_, whole.substr(0, size));
        EXPECT_EQ(data_error_of([&] { read_images(images_, labels_); }),
                  images_.string() +
                      ": truncated gzip (the compressed data end before their end mark). Copy it again.")
            << size;
    }
}

TEST_F(ImageSetFiles, gzip_with_a_changed_byte_is_found) {
    write_gzip(images_, idx({2, 20, 30}, 1200));
    write_file(labels_, idx({2}, 2));
    const ContentHash original = read_images(images_, labels_).content_hash();
    const std::string whole = read_text(images_);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 0x10);
        write_file(images_, changed);
        try {
            EXPECT_EQ(read_images(images_, labels_).content_hash(), original) << at;
        } catch (const DataError& error) {
            EXPECT_THAT(error.what(), StartsWith(images_.string() + ": "));
        }
    }
}

TEST_F(ImageSetFiles, idx_of_wrong_size_is_found) {
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 11), idx({2}, 2)), HasSubstr("ends after 11 of 12 elements"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 13), idx({2}, 2)), HasSubstr("goes on after its 12 elements"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 12), idx({3}, 2)), HasSubstr("ends after 2 of 3 elements"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 0).substr(0, 14), idx({2}, 2)), HasSubstr("ends within its header"));
    EXPECT_THAT(idx_error(idx({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 12), idx({2}, 2)),
                HasSubstr("too many to count"));
    EXPECT_THAT(idx_error(idx({0xFFFFFFFF, 0xFFFFFFFF, 1}, 12), idx({2}, 2)), HasSubstr("ends after 12 of"));
    EXPECT_THAT(idx_error(idx({0, 28, 28}, 0), idx({0}, 0)), HasSubstr("holds no pixels"));
}

TEST_F(ImageSetFiles, idx_of_wrong_kind_is_found) {
    EXPECT_THAT(idx_error(idx({2}, 2), idx({2}, 2)),
                HasSubstr("in 1 dimensions (images are of type 0x08 in 3 or 4)"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 12), idx({2, 2, 3}, 12)), HasSubstr("labels are of type 0x08 in 1"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 12, 0x0D), idx({2}, 2)), HasSubstr("of type 0x0d"));
    EXPECT_THAT(idx_error(idx({2, 2, 3}, 12), "text"), HasSubstr("is not an IDX file"));
    EXPECT_THAT(idx_error("PNG or so", idx({2}, 2)), HasSubstr("is neither IDX nor HDF5"));
    EXPECT_THAT(idx_error("", idx({2}, 2)), HasSubstr("is neither IDX nor HDF5"));
}

TEST_F(ImageSetFiles, counts_of_images_and_labels_must_agree) {
    EXPECT_EQ(idx_error(idx({2, 2, 3}, 12), idx({3}, 3)),
              labels_.string() +
                  ": has 3 labels for 2 images (every image needs one). Use files that belong together.");
    EXPECT_THAT(hdf5_error({1, 2, 3}, unchanged), HasSubstr("has 3 labels for 2 images"));
}

TEST_F(ImageSetFiles, missing_files_are_named) {
    EXPECT_THAT(data_error_of([&] { read_images(images_, labels_); }),
                StartsWith(images_.string() + ": cannot be read"));
    write_file(images_, idx({2, 2, 3}, 12));
    EXPECT_THAT(data_error_of([&] { read_images(images_, labels_); }),
                StartsWith(labels_.string() + ": cannot be read"));
    EXPECT_THAT(data_error_of([&] { read_images(images_, {}); }), HasSubstr("comes without labels"));
    EXPECT_THAT(data_error_of([&] { read_images(folder_.path(), {}); }), HasSubstr("it is a folder"));
}

TEST_F(ImageSetFiles, hdf5_comes_with_normalisation) {
    const auto path = hdf5_with<std::int32_t>({7, 0}, [&](Hdf5File& file) {
        file.set_attribute("/images", "mean", three_);
        file.set_attribute("/images", "std", three_);
    });
    const ImageSet set = read_images(path, {});
    EXPECT_EQ(set.count, 2U);
    EXPECT_EQ(set.channels, 3U);
    EXPECT_THAT(set.image(1), ElementsAre(250, 251, 252, 253, 254, 255));
    EXPECT_THAT(set.labels, ElementsAre(7, 0));
    EXPECT_EQ(set.mean, three_);
    EXPECT_EQ(set.std, three_);
}

TEST_F(ImageSetFiles, hdf5_labels_of_any_integer_type_are_read) {
    EXPECT_THAT(read_images(hdf5_with<std::uint8_t>({7, 255}, unchanged), {}).labels, ElementsAre(7, 255));
    EXPECT_THAT(read_images(hdf5_with<std::uint64_t>({7, 1000}, unchanged), {}).labels, ElementsAre(7, 1000));
}

TEST_F(ImageSetFiles, hdf5_labels_that_are_no_classes_are_refused) {
    EXPECT_THAT(hdf5_error({1, -1}, unchanged), HasSubstr("label -1 of image 1 is not a class"));
    EXPECT_THAT(hdf5_error<std::uint64_t>({1ULL << 32, 0}, unchanged),
                HasSubstr("label 4294967296 of image 0"));
    EXPECT_THAT(hdf5_error<double>({1.0, 2.0}, unchanged), HasSubstr("\"labels\" is not a list of integers"));
    EXPECT_THAT(hdf5_error<std::string>({"cat", "dog"}, unchanged),
                HasSubstr("\"labels\" is not a list of integers"));
}

TEST_F(ImageSetFiles, hdf5_normalisation_must_fit) {
    const std::vector<double> two{0.5, 0.5}, negative{0.5, -0.5, 0.5};
    EXPECT_THAT(hdf5_error({1, 2}, [&](Hdf5File& file) { file.set_attribute("/images", "mean", two); }),
                HasSubstr("\"mean\" of \"images\" has 2 numbers (the images have 3 channels)"));
    EXPECT_THAT(hdf5_error({1, 2}, [&](Hdf5File& file) { file.set_attribute("/images", "mean", three_); }),
                HasSubstr("only one of the attributes"));
    EXPECT_THAT(hdf5_error({1, 2},
                           [&](Hdf5File& file) {
                               file.set_attribute("/images", "mean", three_);
                               file.set_attribute("/images", "std", negative);
                           }),
                HasSubstr("\"std\" of \"images\" is not positive"));
}

TEST_F(ImageSetFiles, hdf5_without_images_or_labels_is_refused) {
    const auto path = folder_ / "images.h5";
    const auto error_after = [&](auto&& fill) {
        Hdf5File file(path, Hdf5File::Mode::create);
        fill(file);
        file.close();
        return data_error_of([&] { read_hdf5_images(path); });
    };
    const std::vector<std::uint8_t> bytes(12);
    const std::vector<float> floats(12);
    EXPECT_THAT(error_after([](Hdf5File&) {}), HasSubstr("has no data set \"images\""));
    EXPECT_THAT(error_after([&](Hdf5File& file) {
                    file.write<std::uint8_t>("/images", bytes, {1, 2, 2, 3});
                }),
                HasSubstr("has no data set \"labels\""));
    EXPECT_THAT(error_after([&](Hdf5File& file) {
                    file.write<float>("/images", floats, {1, 2, 2, 3});
                }),
                HasSubstr("\"images\" is not uint8 [n, h, w, c]"));
    EXPECT_THAT(error_after([&](Hdf5File& file) {
                    file.write<std::uint8_t>("/images", bytes, {2, 2, 3});
                }),
                HasSubstr("\"images\" is not uint8 [n, h, w, c]"));
    EXPECT_THAT(error_after([&](Hdf5File& file) { file.write<std::uint8_t>("/images/group", bytes); }),
                HasSubstr("/images cannot be read"));
}

TEST_F(ImageSetFiles, content_hash_covers_shape_pixels_labels_and_normalisation) {
    const ImageSet set = read_as_idx(idx({2, 2, 3}, 12), idx({2}, 2));
    std::vector<ImageSet> others(5, set);
    std::swap(others[0].height, others[0].width);
    std::vector<std::uint8_t> changed(12);
    std::memcpy(changed.data(), set.pixels.bytes.data(), 12);
    changed[5] ^= 1;
    others[1].pixels = own_bytes(changed);
    others[2].labels[1] = 9;
    others[3].mean = {0.5};
    others[4].std = {0.5};
    for (const ImageSet& other : others) EXPECT_NE(other.content_hash(), set.content_hash());
    EXPECT_NE(others[3].content_hash(), others[4].content_hash());
}

TEST_F(ImageSetFiles, pixels_in_one_piece_are_mapped_and_equal_those_in_chunks) {
    const auto path = hdf5_with(std::vector<std::int32_t>{1, 2}, [](Hdf5File&) {});
    const ImageSet mapped = read_images(path, {});
    ImageSet copied = mapped;
    copied.pixels = own_bytes(std::vector(mapped.pixels.bytes.begin(), mapped.pixels.bytes.end()));
    EXPECT_EQ(copied.content_hash(), mapped.content_hash());
    EXPECT_EQ(mapped.image(1)[0], 250);
}

TEST_F(ImageSetFiles, holding_some_images_keeps_numbers_and_hash_and_refuses_others) {
    const ImageSet set = read_as_idx(idx({5, 2, 3}, 30), idx({5}, 5));
    const ImageSet some = set.holding({1, 4});
    EXPECT_EQ(some.pixels.bytes.size(), 12U);
    for (const std::uint32_t image : {1U, 4U})
        EXPECT_THAT(some.image(image), testing::ElementsAreArray(set.image(image)));
    EXPECT_EQ(some.labels, set.labels);
    EXPECT_EQ(some.count, 5U);
    EXPECT_EQ(some.content_hash(), set.content_hash());
    EXPECT_THROW(some.image(2), InternalError);
    EXPECT_THROW(some.holding({0, 1}), InternalError);
}

}  // namespace
}  // namespace crossweep::io
