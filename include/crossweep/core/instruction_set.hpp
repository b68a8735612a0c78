// Which instruction set a kernel of our own runs with. Plain float loops leave the choice to the loader, see
// multiversion.hpp; this is for kernels that name what they need.
#pragma once

#include <string_view>

namespace crossweep {

/// Instruction sets for which there are kernels; a processor that has one has those before it.
/// avx512: x86-64-v4 with VNNI, VPOPCNTDQ and BITALG (Ice Lake, Zen 4 and later).
enum class InstructionSet { portable, avx2, avx512 };

/// The widest that this processor has.
InstructionSet best_instruction_set();

std::string_view name_of(InstructionSet set);

}  // namespace crossweep

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CROSSWEEP_X86 1
#define CROSSWEEP_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
#define CROSSWEEP_TARGET_AVX512 \
    __attribute__((target("arch=x86-64-v4,avx512vnni,avx512vpopcntdq,avx512bitalg")))
#else
#define CROSSWEEP_X86 0
#define CROSSWEEP_TARGET_AVX2
#define CROSSWEEP_TARGET_AVX512
#endif
