#include "crossweep/core/instruction_set.hpp"

namespace crossweep {

InstructionSet best_instruction_set() {
#if CROSSWEEP_X86
    if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg"))
        return InstructionSet::avx512;
    if (__builtin_cpu_supports("x86-64-v3")) return InstructionSet::avx2;
#endif
    return InstructionSet::portable;
}

std::string_view name_of(InstructionSet set) {
    switch (set) {
        case InstructionSet::avx512:
            return "AVX-512 with VNNI";
        case InstructionSet::avx2:
            return "AVX2";
        case InstructionSet::portable:
            break;
    }
    return "portable";
}

}  // namespace crossweep
