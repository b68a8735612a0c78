#!/usr/bin/env bash
# From a fresh Debian machine to a table and plots: installs what is missing, builds, runs the first study on all cores.
#   ./jobs/quickstart.sh [STUDY.toml [RUNDIR]]
set -euo pipefail
cd "$(dirname "$0")/.."

unset OMP_NUM_THREADS  # nproc would take it for the number of cores
study=${1:-configs/quickstart.toml}
out=${2:-runs/$(basename "$study" .toml)}
cores=$(nproc)

jobs/install_packages.sh jobs/packages.txt
cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
echo "Building (a few minutes the first time)"
cmake --build --preset release -j "$cores" --target crossweep >>build.log 2>&1 || { tail -n 50 build.log; exit 1; }
rm -f build.log

# Inside containers and virtual machines one is often root; one rank per core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
# Where a core has two hardware threads, nproc counts both, which Open MPI would not take for slots.
mpirun -n "$cores" --oversubscribe --bind-to none build/release/bin/crossweep run "$study" --out "$out"
/usr/bin/python3 analysis/plot_results.py "$out/results.h5" --out "$out/plots"
