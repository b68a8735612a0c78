#!/usr/bin/env bash
# Install, build with warnings as errors, and run all tests; closes with the count.
set -euo pipefail
cd "$(dirname "$0")/.."

unset OMP_NUM_THREADS  # nproc would take it for the number of cores
cores=$(nproc)
jobs/install_packages.sh jobs/packages.txt jobs/text_packages.txt tests/packages.txt
cmake --preset audit
cmake --build --preset audit -j "$cores"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
ctest --preset audit -j "$cores"
