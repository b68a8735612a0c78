#include "crossweep/io/text_set.hpp"

#include <array>

#include "crossweep/io/hdf5_file.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A file of three texts of up to four tokens; what a test is about, it changes.
struct Contents {
    std::vector<std::int32_t> tokens{1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 0};
    std::vector<std::uint8_t> mask{1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0};
    std::vector<std::uint8_t> segments{0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0};
    std::vector<std::int32_t> labels{2, 0, 1};
    std::string task = "classification";
    std::vector<double> vocabulary{10}, characters_per_token;
    std::vector<std::size_t> shape{3, 4}, mask_shape{3, 4};
};

/// The same for a language model: texts of three tokens, padded by one place.
Contents of_language_model() {
    return {.tokens = {1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0},
            .mask = {1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0},
            .segments = {},
            .labels = {},
            .task = "language_model",
            .vocabulary = {10},
            .characters_per_token = {4.5},
            .shape = {3, 4},
            .mask_shape = {3, 4}};
}

class TextSetFile : public testing::Test {
  protected:
    TextSet read(const Contents& contents) {
        Hdf5File file(path_, Hdf5File::Mode::create);
        file.write<std::int32_t>("/tokens", contents.tokens, contents.shape);
        if (!contents.task.empty()) file.set_attribute("/tokens", "task", contents.task);
        if (!contents.vocabulary.empty()) file.set_attribute("/tokens", "vocabulary", contents.vocabulary);
        if (!contents.characters_per_token.empty())
            file.set_attribute("/tokens", "characters_per_token", contents.characters_per_token);
        if (!contents.mask.empty()) file.write<std::uint8_t>("/mask", contents.mask, contents.mask_shape);
        if (!contents.segments.empty())
            file.write<std::uint8_t>("/segments", contents.segments, contents.shape);
        if (!contents.labels.empty()) file.write<std::int32_t>("/labels", contents.labels);
        file.close();
        return read_texts(path_);
    }
    /// What reading says is wrong, behind the name of the file.
    std::string error(const Contents& contents) {
        const std::string message = data_error_of([&] { read(contents); });
        const std::string start = path_.string() + ": ";
        EXPECT_THAT(message, testing::StartsWith(start));
        return message.substr(std::min(start.size(), message.size()));
    }
    template <class Change>
    std::string error_after(Contents contents, Change&& change) {
        change(contents);
        return error(contents);
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "texts.h5";
};

TEST_F(TextSetFile, of_classes_comes_as_written) {
    const TextSet set = read(Contents());
    EXPECT_EQ(set.count, 3U);
    EXPECT_EQ(set.length, 4U);
    EXPECT_EQ(set.tokens, Contents().tokens);
    EXPECT_EQ(set.mask, Contents().mask);
    EXPECT_EQ(set.segments, Contents().segments);
    EXPECT_EQ(set.labels, Contents().labels);
    EXPECT_EQ(set.vocabulary, 10U);
    EXPECT_FALSE(set.is_language_model());
}

TEST_F(TextSetFile, of_a_language_model_comes_as_written) {
    const TextSet set = read(of_language_model());
    EXPECT_TRUE(set.is_language_model());
    EXPECT_EQ(set.tokens, of_language_model().tokens);
    EXPECT_EQ(set.characters_per_token, 4.5);
    EXPECT_THAT(set.segments, IsEmpty());
}

TEST_F(TextSetFile, need_not_say_the_vocabulary) {
    Contents contents;
    contents.vocabulary.clear();
    EXPECT_EQ(read(contents).vocabulary, 0U);
}

TEST_F(TextSetFile, what_no_token_is_does_not_matter) {
    Contents other;
    other.tokens = {1, 2, 3, 4, 5, 6, -100, 99, 7, 8, 9, 12};
    other.segments = {0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1};
    const TextSet set = read(other);
    EXPECT_EQ(set.tokens, Contents().tokens);
    EXPECT_EQ(set.segments, Contents().segments);
    EXPECT_EQ(set.content_hash(), read(Contents()).content_hash());
}

TEST_F(TextSetFile, segments_of_zeros_are_none) {
    Contents zeros, none;
    zeros.segments.assign(12, 0);
    none.segments.clear();
    EXPECT_THAT(read(zeros).segments, IsEmpty());
    EXPECT_EQ(read(zeros).content_hash(), read(none).content_hash());
}

TEST_F(TextSetFile, hash_covers_all_that_a_model_sees) {
    const ContentHash before = read(Contents()).content_hash();
    const std::vector<void (*)(Contents&)> changes{
        [](Contents& c) { c.tokens[9] = 7; },
        [](Contents& c) { c.mask[10] = 0; },
        [](Contents& c) { c.segments[0] = 1; },
        [](Contents& c) { c.segments.clear(); },
        [](Contents& c) { c.labels[1] = 1; },
        [](Contents& c) {
            c.shape = c.mask_shape = {2, 6}, c.labels = {2, 0};
        },
        [](Contents& c) { c = of_language_model(); },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        Contents changed;
        changes[i](changed);
        EXPECT_NE(read(changed).content_hash(), before) << "change " << i;
    }
    Contents same;
    same.vocabulary = {11};
    EXPECT_EQ(read(same).content_hash(), before);
}

TEST_F(TextSetFile, whole_numbers_of_any_width_are_read) {
    Hdf5File file(path_, Hdf5File::Mode::create);
    file.write<std::uint64_t>("/tokens", std::vector<std::uint64_t>{1, 2}, {1, 2});
    file.set_attribute("/tokens", "task", "classification");
    file.write<std::int32_t>("/mask", std::vector<std::int32_t>{1, 1}, {1, 2});
    file.write<std::uint8_t>("/labels", std::vector<std::uint8_t>{200});
    file.close();
    const TextSet set = read_texts(path_);
    EXPECT_THAT(set.tokens, ElementsAre(1, 2));
    EXPECT_THAT(set.labels, ElementsAre(200));
}

TEST_F(TextSetFile, without_tokens_or_masks_is_refused) {
    Hdf5File(path_, Hdf5File::Mode::create).close();
    EXPECT_EQ(data_error_of([&] { read_texts(path_); }),
              path_.string() +
                  ": has no data set \"tokens\". Store int32 [n, length]; analysis/prepare_text.py does.");
    EXPECT_EQ(error_after({}, [](Contents& c) { c.mask.clear(); }),
              "has no data set \"mask\". Store uint8 [n, length], as of the tokens.");
    EXPECT_EQ(error_after({}, [](Contents& c) { c.labels.clear(); }),
              "has no data set \"labels\". Store one class for each text, int32 [n].");
}

TEST_F(TextSetFile, of_other_shapes_is_refused) {
    EXPECT_EQ(error_after({}, [](Contents& c) { c.shape = {12}; }),
              "\"tokens\" has 1 dimensions (texts and places are two). Store int32 [n, length]; "
              "analysis/prepare_text.py does.");
    EXPECT_EQ(
        error_after({},
                    [](Contents& c) {
                        c.mask_shape = {4, 3};
                    }),
        "\"mask\" is [4, 3] where [3, 4] belongs to the tokens. Store uint8 [n, length], as of the tokens.");
    EXPECT_EQ(error_after({}, [](Contents& c) { c.labels.push_back(1); }),
              "\"labels\" is [4] where [3] belongs to the tokens. Store one class for each text, int32 [n].");
    EXPECT_EQ(error_after({},
                          [](Contents& c) {
                              c.tokens.clear(), c.segments.clear(), c.shape = {0, 4};
                          }),
              "holds no texts (its tokens are [0, 4]). Check which file it is.");
}

TEST_F(TextSetFile, of_other_types_is_refused) {
    Hdf5File file(path_, Hdf5File::Mode::create);
    file.write<float>("/tokens", std::vector<float>{1, 2}, {1, 2});
    file.close();
    EXPECT_EQ(data_error_of([&] { read_texts(path_); }),
              path_.string() +
                  ": \"tokens\" does not hold whole numbers. Store int32 [n, length]; "
                  "analysis/prepare_text.py does.");
}

TEST_F(TextSetFile, of_no_known_task_is_refused) {
    EXPECT_EQ(
        error_after({}, [](Contents& c) { c.task = ""; }),
        "\"tokens\" has no attribute \"task\" (whether the texts have classes or their tokens are to be "
        "told). Prepare the texts with analysis/prepare_text.py.");
    EXPECT_EQ(
        error_after({}, [](Contents& c) { c.task = "translation"; }),
        "task \"translation\" of \"tokens\" is neither \"classification\" nor \"language_model\". Prepare "
        "the texts with analysis/prepare_text.py.");
    EXPECT_EQ(
        error_after({}, [](Contents& c) { c.task = "language_model"; }),
        "has \"labels\" though its task is \"language_model\" (the texts are their own answers). Remove "
        "them, or make the task \"classification\".");
}

TEST_F(TextSetFile, with_attributes_that_make_no_sense_is_refused) {
    EXPECT_EQ(error_after(of_language_model(), [](Contents& c) { c.characters_per_token.clear(); }),
              "\"tokens\" has no attribute \"characters_per_token\", which a language model's results need. "
              "Prepare the texts with analysis/prepare_text.py.");
    EXPECT_EQ(
        error_after(of_language_model(), [](Contents& c) { c.characters_per_token = {0}; }),
        "attribute \"characters_per_token\" of \"tokens\" is [0] (one positive number is needed). Prepare "
        "the texts with analysis/prepare_text.py.");
    EXPECT_EQ(
        error_after({}, [](Contents& c) { c.vocabulary = {9.5}; }),
        "attribute \"vocabulary\" of \"tokens\" is 9.5 (it counts the tokens that there are). Prepare the "
        "texts with analysis/prepare_text.py.");
}

TEST_F(TextSetFile, of_an_empty_text_is_refused) {
    EXPECT_EQ(error_after({}, [](Contents& c) { c.mask[4] = c.mask[5] = 0; }),
              "text 1 is empty (its mask leaves no token). Remove it.");
    EXPECT_EQ(error_after({}, [](Contents& c) { c.mask[6] = 2; }),
              "mask of text 1 is 2 at place 2 (1 is a token, 0 none). Correct \"mask\".");
}

TEST_F(TextSetFile, of_tokens_and_labels_that_are_none_is_refused) {
    EXPECT_EQ(error_after({}, [](Contents& c) { c.tokens[9] = -1; }),
              "token at place 1 of text 2 is -1 (tokens count from 0, in 32 bits). Correct \"tokens\".");
    EXPECT_EQ(
        error_after({}, [](Contents& c) { c.tokens[9] = 10; }),
        "token 10 at place 1 of text 2 is not in the vocabulary of 10 that the texts were prepared with. "
        "Prepare them again.");
    EXPECT_EQ(error_after({}, [](Contents& c) { c.labels[2] = -3; }),
              "label of text 2 is -3 (classes count from 0, in 32 bits). Correct \"labels\".");
}

TEST_F(TextSetFile, of_numbers_beyond_32_bits_is_refused) {
    Hdf5File file(path_, Hdf5File::Mode::create);
    file.write<std::uint64_t>("/tokens", std::vector<std::uint64_t>{1, 1ULL << 40}, {1, 2});
    file.set_attribute("/tokens", "task", "classification");
    file.write<std::uint8_t>("/mask", std::vector<std::uint8_t>{1, 1}, {1, 2});
    file.write<std::uint8_t>("/labels", std::vector<std::uint8_t>{0});
    file.close();
    EXPECT_EQ(data_error_of([&] { read_texts(path_); }),
              path_.string() +
                  ": token at place 1 of text 0 is too large (tokens count from 0, in 32 bits). "
                  "Correct \"tokens\".");
}

TEST_F(TextSetFile, of_a_language_model_has_texts_of_one_length_without_gaps) {
    EXPECT_EQ(
        error_after(of_language_model(), [](Contents& c) { c.mask[11] = 1; }),
        "text 2 has 4 tokens where text 0 has 3 (texts of a language model count alike). Cut them to one "
        "length.");
    EXPECT_EQ(error_after(of_language_model(), [](Contents& c) { c.mask[4] = 0, c.mask[7] = 1; }),
              "text 1 has a gap at place 0 (a language model reads from the first place on). Close it.");
    EXPECT_EQ(
        error_after(of_language_model(), [](Contents& c) { c.mask = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}; }),
        "text 0 has a single token (a language model tells a token from those before it). Remove the text.");
}

TEST_F(TextSetFile, that_is_no_hdf5_is_refused) {
    write_file(path_, "a text");
    EXPECT_THAT(data_error_of([&] { read_texts(path_); }), testing::HasSubstr(path_.string()));
    EXPECT_THAT(data_error_of([&] { read_texts(folder_ / "none.h5"); }),
                testing::HasSubstr("no such file or folder"));
}

}  // namespace
}  // namespace crossweep::io
