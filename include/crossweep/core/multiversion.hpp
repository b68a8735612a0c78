// One binary for login and compute nodes: a function so marked is compiled for three instruction sets and the
// loader picks the widest that the processor has. CROSSWEEP_SINGLE_VERSION leaves the one that the compiler
// is told to build for.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(CROSSWEEP_SINGLE_VERSION)
#define CROSSWEEP_MANY_VERSIONS
#define CROSSWEEP_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CROSSWEEP_MULTIVERSION
#endif
