// Products of integer codes, exact and therefore the same on every instruction set: signed words for codes
// that must not be rounded; unsigned by signed bytes for sums that need no better.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/instruction_set.hpp"

namespace crossweep::linalg {

/// Outputs that a kernel computes together.
inline constexpr Eigen::Index output_block = 64;

/// Inputs that one 32-bit lane multiplies and adds up: 2 words or 4 bytes.
template <class Code>
inline constexpr Eigen::Index inputs_per_lane = static_cast<Eigen::Index>(4 / sizeof(Code));

template <class Code>
constexpr Eigen::Index lanes_of(Eigen::Index inputs) {
    return (inputs + inputs_per_lane<Code> - 1) / inputs_per_lane<Code>;
}

/// Rows of input codes [row, input], each filled up with zeros to whole lanes. Memory grows and stays.
template <class Code>
class CodeRows {
  public:
    /// Contents become unspecified, except for the zeros at the end of each row.
    void shape(Eigen::Index rows, Eigen::Index inputs) {
        rows_ = rows;
        inputs_ = inputs;
        stride_ = lanes_of<Code>(inputs) * inputs_per_lane<Code>;
        if (codes_.size() < static_cast<std::size_t>(rows * stride_))
            codes_.resize(static_cast<std::size_t>(rows * stride_));
        for (Eigen::Index row = 0; row < rows; ++row)
            for (Eigen::Index i = inputs; i < stride_; ++i) this->row(row)[i] = 0;
    }
    Eigen::Index rows() const { return rows_; }
    Eigen::Index inputs() const { return inputs_; }
    Eigen::Index stride() const { return stride_; }
    Code* row(Eigen::Index index) { return codes_.data() + index * stride_; }
    const Code* row(Eigen::Index index) const { return codes_.data() + index * stride_; }

  private:
    Eigen::Index rows_ = 0, inputs_ = 0, stride_ = 0;
    std::vector<Code> codes_;
};

using WordRows = CodeRows<std::int16_t>;
using ByteRows = CodeRows<std::uint8_t>;

/// Weight codes [output, input] in the order in which kernels read them: [block of 64 outputs][lane][output
/// of the block][input of the lane], zeros where there is no output or input.
template <class Code>
class PackedCodes {
  public:
    void shape(Eigen::Index outputs, Eigen::Index inputs) {
        outputs_ = outputs;
        inputs_ = inputs;
        codes_.assign(static_cast<std::size_t>(blocks() * block_size()), Code{0});
    }
    Eigen::Index outputs() const { return outputs_; }
    Eigen::Index inputs() const { return inputs_; }
    Eigen::Index lanes() const { return lanes_of<Code>(inputs_); }
    Eigen::Index blocks() const { return (outputs_ + output_block - 1) / output_block; }
    const Code* block(Eigen::Index index) const { return codes_.data() + index * block_size(); }

    /// All inputs of one output.
    void set_output(Eigen::Index output, std::span<const Code> codes) {
        Code* to = codes_.data() + place(output, 0);
        for (std::size_t first = 0; first < codes.size(); first += group, to += output_block * group)
            std::copy_n(codes.data() + first, std::min<std::size_t>(group, codes.size() - first), to);
    }
    /// One input of all outputs.
    void set_input(Eigen::Index input, std::span<const Code> codes) {
        for (std::size_t first = 0; first < codes.size(); first += output_block) {
            Code* to = codes_.data() + place(static_cast<Eigen::Index>(first), input);
            const std::size_t end = std::min<std::size_t>(first + output_block, codes.size());
            for (std::size_t output = first; output < end; ++output, to += group) *to = codes[output];
        }
    }
    Code at(Eigen::Index output, Eigen::Index input) const { return codes_[place(output, input)]; }

  private:
    static constexpr Eigen::Index group = inputs_per_lane<Code>;
    Eigen::Index block_size() const { return lanes() * output_block * group; }
    std::size_t place(Eigen::Index output, Eigen::Index input) const {
        const Eigen::Index in_block = (input / group * output_block + output % output_block) * group;
        return static_cast<std::size_t>(output / output_block * block_size() + in_block + input % group);
    }

    Eigen::Index outputs_ = 0, inputs_ = 0;
    std::vector<Code> codes_;
};

using PackedWords = PackedCodes<std::int16_t>;
using PackedBytes = PackedCodes<std::int8_t>;

/// sums [row, 64] of one block: sum over the inputs of x[row, input] w[output, input], modulo 2^32. Throws
/// InternalError if the inputs differ or the processor lacks `set`.
void multiply_block(const WordRows& x, const PackedWords& w, Eigen::Index block, std::int32_t* sums,
                    InstructionSet set = best_instruction_set());
void multiply_block(const ByteRows& x, const PackedBytes& w, Eigen::Index block, std::int32_t* sums,
                    InstructionSet set = best_instruction_set());

}  // namespace crossweep::linalg
