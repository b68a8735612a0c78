#include "crossweep/io/hdf5_file.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Hdf5Files : public testing::Test {
  protected:
    Hdf5File create() const { return {path_, Hdf5File::Mode::create}; }
    Hdf5File open() const { return {path_, Hdf5File::Mode::read}; }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "a.h5";
    const std::vector<double> numbers_{1.5, -2.0, 3.0, 4.0, 5.0, 6.0};
};

template <class T>
void expect_round_trip(const std::filesystem::path& path, const std::vector<T>& values) {
    Hdf5File file(path, Hdf5File::Mode::create);
    file.write<T>("/group/deeper/values", values);
    file.close();
    EXPECT_EQ(Hdf5File(path, Hdf5File::Mode::read).read<T>("/group/deeper/values"), values);
}

TEST_F(Hdf5Files, every_type_comes_back_as_written) {
    expect_round_trip<double>(path_, {0.1, -0.0, std::numeric_limits<double>::infinity(), 5e-324});
    expect_round_trip<float>(path_, {0.1F, 1e-45F, -3e38F});
    expect_round_trip<std::int32_t>(path_, {-2147483647 - 1, 0, 2147483647});
    expect_round_trip<std::uint32_t>(path_, {0, 4294967295U});
    expect_round_trip<std::uint64_t>(path_, {0, 18446744073709551615U});
    expect_round_trip<std::uint8_t>(path_, {0, 255});
    expect_round_trip<std::string>(path_, {"", "µ-law", "two\nlines", std::string(100'000, 'x')});
}

TEST_F(Hdf5Files, empty_arrays_come_back_empty) {
    expect_round_trip<double>(path_, {});
    expect_round_trip<std::string>(path_, {});
    Hdf5File file = create();
    file.write<float>("/a", {}, {3, 0, 5});
    file.close();
    EXPECT_THAT(open().shape("/a"), ElementsAre(3, 0, 5));
    EXPECT_TRUE(open().read<float>("/a").empty());
}

TEST_F(Hdf5Files, large_data_sets_are_compressed_and_unchanged) {
    std::vector<std::int32_t> values(3 * 1'000'001);
    std::iota(values.begin(), values.end(), -7);
    Hdf5File file = create();
    file.write<std::int32_t>("/a", values, {3, 1'000'001});
    file.write<std::int32_t>("/b", values, {1'000'001, 3});
    file.close();
    EXPECT_LT(std::filesystem::file_size(path_), 4 * values.size());
    EXPECT_EQ(open().read<std::int32_t>("/a"), values);
    EXPECT_EQ(open().read<std::int32_t>("/b"), values);
}

TEST_F(Hdf5Files, large_real_numbers_are_stored_in_one_piece) {
    std::vector<double> values(300'001);
    std::iota(values.begin(), values.end(), -7.5);
    Hdf5File file = create();
    file.write<double>("/a", values);
    file.close();
    EXPECT_TRUE(open().contiguous_offset("/a"));
    EXPECT_EQ(open().read<double>("/a"), values);
}

TEST_F(Hdf5Files, texts_of_like_length_take_no_more_room_than_any_texts_and_come_back) {
    const std::vector<std::string> like(5000, "x86-64-v4"), none, empty(5000);
    std::vector<std::string> one_long = empty, mixed{"", "µ-law", "two\nlines", "six"};
    one_long[17] = std::string(100'000, 'x');
    for (const auto& texts : {like, none, empty, one_long, mixed}) {
        Hdf5File file = create();
        file.write_texts_of_like_length("/group/texts", texts);
        file.close();
        EXPECT_EQ(open().read<std::string>("/group/texts"), texts);
        const auto size = std::filesystem::file_size(path_);
        create().write<std::string>("/group/texts", texts);
        EXPECT_LE(size, std::filesystem::file_size(path_)) << texts.size();
    }
}

TEST_F(Hdf5Files, image_of_a_file_reads_as_the_file_does) {
    std::vector<std::int32_t> values(100'000);
    std::iota(values.begin(), values.end(), -7);
    Hdf5File file = create();
    file.write<std::int32_t>("/a", values);
    file.write<std::string>("/text", std::vector<std::string>{"x", ""});
    file.set_attribute("/", "last", "words");
    file.close();
    const std::string image = read_text(path_);
    const Hdf5File read(path_, image), again(path_, image);
    EXPECT_EQ(read.read<std::int32_t>("/a"), values);
    EXPECT_THAT(again.read<std::string>("/text"), ElementsAre("x", ""));
    EXPECT_EQ(read.text_attribute("/", "last"), "words");
    EXPECT_THAT(data_error_of([&] { Hdf5File(path_, "text"); }),
                HasSubstr(path_.string() + ": the file cannot be opened (HDF5: "));
    EXPECT_EQ(read_text(path_), image);
}

TEST_F(Hdf5Files, numbers_are_converted_on_reading) {
    Hdf5File file = create();
    file.write<double>("/a", numbers_, {2, 3});
    file.close();
    EXPECT_THAT(open().read<std::int32_t>("/a"), ElementsAre(1, -2, 3, 4, 5, 6));
    EXPECT_THAT(open().read<float>("/a"), ElementsAre(1.5F, -2.0F, 3.0F, 4.0F, 5.0F, 6.0F));
    EXPECT_THAT(open().shape("/a"), ElementsAre(2, 3));
}

TEST_F(Hdf5Files, objects_can_be_listed_and_asked_for) {
    Hdf5File file = create();
    file.write<double>("/group/b", numbers_);
    file.write<double>("/group/a", numbers_);
    file.write<std::string>("/text", std::vector<std::string>{"x"});
    file.write<std::uint8_t>("/bytes", std::vector<std::uint8_t>{1});
    file.write<std::uint64_t>("/wide", std::vector<std::uint64_t>{1});
    file.close();
    const Hdf5File read = open();
    EXPECT_THAT(read.members("/"), ElementsAre("bytes", "group", "text", "wide"));
    EXPECT_THAT(read.members("/group"), ElementsAre("a", "b"));
    EXPECT_TRUE(read.contains("/"));
    EXPECT_TRUE(read.contains("/group/a"));
    EXPECT_FALSE(read.contains("/group/c"));
    EXPECT_FALSE(read.contains("/nothing/at/all"));
    EXPECT_EQ(read.element_kind("/group/a"), ElementKind::real);
    EXPECT_EQ(read.element_kind("/text"), ElementKind::text);
    EXPECT_EQ(read.element_kind("/bytes"), ElementKind::unsigned_byte);
    EXPECT_EQ(read.element_kind("/wide"), ElementKind::integer);
}

TEST_F(Hdf5Files, attributes_come_back_and_can_be_replaced) {
    Hdf5File file = create();
    file.write<double>("/a", numbers_);
    for (int i = 0; i < 20; ++i) file.set_attribute("/", "text" + std::to_string(i), std::to_string(i));
    file.set_attribute("/", "study",
                       std::string(200'000, 's'));  // beyond HDF5's 64 KiB for fixed-length attributes
    file.set_attribute("/", "text3", "replaced");
    file.set_attribute("/a", "units", "");
    file.set_attribute("/a", "range", numbers_);
    file.set_attribute("/a", "range", std::array{1.0, 2.0});
    file.set_attribute("/a", "none", std::span<const double>());
    file.close();
    const Hdf5File read = open();
    EXPECT_EQ(read.text_attribute("/", "text3"), "replaced");
    EXPECT_EQ(read.text_attribute("/", "text19"), "19");
    EXPECT_EQ(read.text_attribute("/", "study").size(), 200'000U);
    EXPECT_EQ(read.text_attribute("/a", "units"), "");
    EXPECT_THAT(read.number_attribute("/a", "range"), ElementsAre(1.0, 2.0));
    EXPECT_TRUE(read.number_attribute("/a", "none").empty());
    EXPECT_TRUE(read.has_attribute("/a", "range"));
    EXPECT_FALSE(read.has_attribute("/a", "other"));
}

TEST_F(Hdf5Files, scales_attach_once_and_again) {
    Hdf5File file = create();
    file.write<double>("/data", numbers_, {2, 3});
    file.write<double>("/more", numbers_, {3, 2});
    file.write<std::int32_t>("/point", std::vector<std::int32_t>{0, 1});
    file.write<std::string>("/axes/trial", std::vector<std::string>{"a", "b", "c"});
    file.attach_scale("/data", 0, "/point");
    file.attach_scale("/data", 1, "/axes/trial");
    file.attach_scale("/data", 1, "/axes/trial");
    file.attach_scale("/more", 0, "/axes/trial");
    EXPECT_THAT(data_error_of([&] { file.attach_scale("/data", 2, "/point"); }), HasSubstr("/point"));
    file.close();
    EXPECT_EQ(open().text_attribute("/point", "CLASS"), "DIMENSION_SCALE");
    EXPECT_EQ(open().text_attribute("/axes/trial", "NAME"), "trial");
    EXPECT_TRUE(open().has_attribute("/data", "DIMENSION_LIST"));
}

TEST_F(Hdf5Files, equal_contents_give_equal_files) {
    const auto bytes = [&] {
        Hdf5File file = create();
        file.write<double>("/group/a", numbers_);
        file.write<std::string>("/text", std::vector<std::string>{"x", "y"});
        file.set_attribute("/", "format", "test");
        file.close();
        return read_text(path_);
    };
    EXPECT_EQ(bytes(), bytes());
}

TEST_F(Hdf5Files, moving_keeps_the_file_and_closing_twice_is_harmless) {
    Hdf5File first = create();
    first.write<double>("/a", numbers_);
    Hdf5File second = std::move(first);
    second.write<double>("/b", numbers_);
    second.close();
    second.close();
    EXPECT_THAT(open().members("/"), ElementsAre("a", "b"));
    { create().write<double>("/left/to/destructor", numbers_); }
    EXPECT_TRUE(open().contains("/left/to/destructor"));
}

TEST_F(Hdf5Files, failures_name_file_object_and_reason) {
    Hdf5File file = create();
    file.write<double>("/a", numbers_);
    file.write<std::string>("/text", std::vector<std::string>{"x"});
    EXPECT_THAT(data_error_of([&] { file.write<double>("/a", numbers_); }),
                HasSubstr(path_.string() + ": /a cannot be written (HDF5: name already exists)"));
    EXPECT_THAT(data_error_of([&] { file.write<double>("/a/b", numbers_); }),
                HasSubstr("/a/b cannot be written"));
    file.close();
    const Hdf5File read = open();
    EXPECT_EQ(data_error_of([&] { read.read<double>("/b"); }),
              path_.string() +
                  ": /b cannot be read (HDF5: object 'b' doesn't exist). Check that the file is whole and "
                  "holds what is asked of it.");
    EXPECT_THAT(data_error_of([&] { read.read<double>("/text"); }),
                HasSubstr("/text cannot be read (HDF5: "));
    EXPECT_THAT(data_error_of([&] { read.read<std::string>("/a"); }), HasSubstr("/a holds no text"));
    EXPECT_THAT(data_error_of([&] { read.members("/a"); }), HasSubstr("/a cannot be read"));
    EXPECT_THAT(data_error_of([&] { read.text_attribute("/a", "units"); }),
                HasSubstr("attribute \"units\" of /a"));
}

TEST_F(Hdf5Files, what_is_no_hdf5_file_is_refused) {
    EXPECT_THAT(data_error_of([&] { open(); }), HasSubstr("no such file or folder"));
    write_file(path_, "text");
    EXPECT_THAT(data_error_of([&] { open(); }), HasSubstr("the file cannot be opened (HDF5: "));
    EXPECT_THAT(data_error_of([&] { Hdf5File(folder_ / "no" / "a.h5", Hdf5File::Mode::create); }),
                HasSubstr("no such file or folder"));
}

TEST_F(Hdf5Files, shape_must_hold_the_values) {
    Hdf5File file = create();
    EXPECT_THROW(file.write<double>("/a", numbers_, {2, 2}), InternalError);
}

TEST(Hdf5Rows, give_the_data_set_that_is_written_at_once) {
    const TemporaryFolder folder;
    for (const std::size_t columns : {0U, 3U, 1000U, 400000U}) {  // 400000 are more than a chunk
        const std::size_t rows = 7;
        std::vector<std::int32_t> values(rows * columns);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i);
        {
            Hdf5File file(folder / "a.h5", Hdf5File::Mode::create_on_disk);
            file.write<std::int32_t>("/group/whole", values, {rows, columns});
            Hdf5Rows written = file.create_rows<std::int32_t>("/group/rows", {rows, columns});
            for (std::size_t row = 0; row < rows; ++row)
                written.append<std::int32_t>(std::span(values).subspan(row * columns, columns));
            EXPECT_THROW(written.append<std::int32_t>(std::span(values).first(columns)), InternalError);
        }
        const Hdf5File file(folder / "a.h5", Hdf5File::Mode::read);
        EXPECT_EQ(file.shape("/group/rows"), file.shape("/group/whole"));
        EXPECT_EQ(file.read<std::int32_t>("/group/rows"), values);
        EXPECT_EQ(file.contiguous_offset("/group/rows").has_value(),
                  file.contiguous_offset("/group/whole").has_value());
    }
}

TEST(Hdf5Rows, of_another_length_are_refused) {
    const TemporaryFolder folder;
    Hdf5File file(folder / "a.h5", Hdf5File::Mode::create);
    Hdf5Rows rows = file.create_rows<float>("/rows", {2, 3});
    EXPECT_THROW(rows.append<float>(std::vector<float>(2)), InternalError);
}

}  // namespace
}  // namespace crossweep::io
