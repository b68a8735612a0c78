#!/usr/bin/env bash
# A study from data to plots as a chain of Slurm jobs, each starting when the one before it has succeeded:
# prepare (images, check, plan) -> run -> merge -> plots. Prints a line "LINK JOBID" for each; run it from the top of
# the repository.
#   jobs/chain.sh [OPTIONS] STUDY.toml RUNDIR [--set KEY=VALUE]...
#     --parts N          run as an array of N jobs instead of one
#     --sbatch OPTIONS   options of sbatch for run: "--nodes=4 --ntasks-per-node=64 --time=12:00:00"
#     --images OPTIONS   make the data set first, with analysis/prepare_images.py OPTIONS: "imagenet/val data/val.h5"
# Everything is written in RUNDIR, logs in RUNDIR/slurm. If a link fails, those after it are cancelled; mend what its
# log says and give the same command again: what is finished is not computed again.
# Accounts and partitions of all links: SBATCH_ACCOUNT, SBATCH_PARTITION.
set -euo pipefail

stop() { echo "chain.sh: $1" >&2; exit 2; }
quoted() { printf '%q ' "$@"; }

parts='' sbatch_options='' images=''
while [ $# -gt 0 ]; do
    case $1 in
        --parts | --sbatch | --images) [ $# -ge 2 ] || stop "$1 needs a value, see the head of jobs/chain.sh" ;;&
        --parts) parts=$2 ;;
        --sbatch) sbatch_options=$2 ;;
        --images) images=$2 ;;
        -*) stop "there is no option $1, see the head of jobs/chain.sh" ;;
        *) break ;;
    esac
    shift 2
done
[ $# -ge 2 ] || stop "usage: jobs/chain.sh [OPTIONS] STUDY.toml RUNDIR [--set KEY=VALUE]..."
[ "$0" -ef jobs/chain.sh ] || stop "run this from the top of the repository"
[[ $parts =~ ^([1-9][0-9]*)?$ ]] || stop "--parts $parts is not a whole number above 0"
study=$1 out=$2
shift 2
python=${PYTHON:-/usr/bin/python3}
if [ -z "${CROSSWEEP:-}" ]; then
    CROSSWEEP=build/release/bin/crossweep
    [ -x "$CROSSWEEP" ] || CROSSWEEP=crossweep
fi
mkdir -p "$out/slurm"

# link NAME AFTER SBATCH-ARGUMENT... : submit, tell, and leave the number in `id`.
link() {
    local name=$1 after=$2
    shift 2
    id=$(sbatch --parsable --job-name="$name" ${after:+--dependency=afterok:"$after" --kill-on-invalid-dep=yes} "$@")
    id=${id%%;*}
    echo "$name $id"
}
one_task=(--ntasks=1 --output="$out/slurm/%x-%j.log")

link prepare '' "${one_task[@]}" --wrap "set -e
${images:+$python analysis/prepare_images.py $images}
$CROSSWEEP check $(quoted "$study" "$@")
$CROSSWEEP plan $(quoted "$study" "$@")"
# shellcheck disable=SC2086  # several options
link run "$id" $sbatch_options ${parts:+--array=1-"$parts"} "jobs/$([ -n "$parts" ] && echo array || echo study).sbatch" \
    "$study" "$out" "$@"
link merge "$id" "${one_task[@]}" --wrap "$CROSSWEEP merge $(quoted "$out")"
link plots "$id" "${one_task[@]}" \
    --wrap "$python analysis/plot_results.py $(quoted "$out/results.h5") --out $(quoted "$out/plots")"
