#!/bin/bash
# make counts: how many instructions our hot ways execute, counted by callgrind, against the recorded thresholds.
#
# Counts repeat where times do not (to 0.01 %), also from machine to machine: valgrind emulates one CPU with AVX2,
# whatever the real one is, so memcpy and simdjson choose the same code. A machine without AVX2 counts otherwise. The
# gate fails above +5 %. Thresholds are per toolchain, in
# Tests/Benchmarks/Thresholds/<Swift version>/counts.txt; after a change that is worth its instructions, or that saves
# some, record them anew with `make counts RECORD=1` and commit the file.
set -euo pipefail
cd "$(dirname "$0")/../.."
swift=${SWIFT:-swift}
tolerance_percent=5

# name            executable        arguments  counted function, as in the symbol table
counts=(
    "event         InstructionCounts event      *17InstructionCounts8measured*"
    "fit           InstructionCounts fit        *17InstructionCounts8measured*"
    "mixture       InstructionCounts mixture    *17InstructionCounts8measured*"
    "recommend     InstructionCounts recommend  *17InstructionCounts8measured*"
    "resp          InstructionCounts resp       *17InstructionCounts8measured*"
    "rmsNorm                   KernelCounts rmsNorm                   *12KernelCounts13countedRegion*"
    "rmsNormBackward           KernelCounts rmsNormBackward           *12KernelCounts13countedRegion*"
    "rotate                    KernelCounts rotate                    *12KernelCounts13countedRegion*"
    "swiGLU                    KernelCounts swiGLU                    *12KernelCounts13countedRegion*"
    "swiGLUBackward            KernelCounts swiGLUBackward            *12KernelCounts13countedRegion*"
    "attention.intra           KernelCounts attention.intra           *12KernelCounts13countedRegion*"
    "attention.inter           KernelCounts attention.inter           *12KernelCounts13countedRegion*"
    "attention.causal          KernelCounts attention.causal          *12KernelCounts13countedRegion*"
    "attentionBackward.inter   KernelCounts attentionBackward.inter   *12KernelCounts13countedRegion*"
    "softmax                   KernelCounts softmax                   *12KernelCounts13countedRegion*"
    "crossEntropy              KernelCounts crossEntropy              *12KernelCounts13countedRegion*"
    "adamW                     KernelCounts adamW                     *12KernelCounts13countedRegion*"
    "linear.1                  KernelCounts linear.1                  *12KernelCounts13countedRegion*"
    "linear.8                  KernelCounts linear.8                  *12KernelCounts13countedRegion*"
    "linear.512                KernelCounts linear.512                *12KernelCounts13countedRegion*"
    "lowRank                   KernelCounts lowRank                   *12KernelCounts13countedRegion*"
    "topK                      KernelCounts topK                      *12KernelCounts13countedRegion*"
    "gatherRows                KernelCounts gatherRows                *12KernelCounts13countedRegion*"
    "scatterAddRows            KernelCounts scatterAddRows            *12KernelCounts13countedRegion*"
    "meanPool                  KernelCounts meanPool                  *12KernelCounts13countedRegion*"
    "dropout                   KernelCounts dropout                   *12KernelCounts13countedRegion*"
)

if ! command -v valgrind >/dev/null; then
    echo "counts: valgrind is not installed (Debian: apt-get install valgrind)" >&2
    exit 1
fi
version=$("$swift" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
thresholds=Tests/Benchmarks/Thresholds/$version/counts.txt
build=(-c release --scratch-path .build)
export MILLRACE_BENCHMARKS=1
for executable in $(printf '%s\n' "${counts[@]}" | awk '{print $2}' | sort -u); do
    "$swift" build "${build[@]}" --product "$executable"
done
bin=$("$swift" build "${build[@]}" --show-bin-path)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Swift seeds its hash tables anew in each process; OpenBLAS chooses a kernel by the CPU it sees.
export SWIFT_DETERMINISTIC_HASHING=1 OPENBLAS_CORETYPE=Haswell
failed=0
recorded=()
for line in "${counts[@]}"; do
    read -r name executable arguments function <<<"$line"
    # valgrind 3.19 does not read the debug information of clang 21, but it needs the symbols.
    [ -e "$work/$executable" ] || strip -g -o "$work/$executable" "$bin/$executable"
    if ! valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect="$function" \
        "$work/$executable" $arguments >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "counts: $name does not run" >&2
        exit 1
    fi
    count=$(sed -n 's/^.*Collected : \([0-9]*\).*/\1/p' "$work/log")
    # A function that was not found counts nothing: never trust a zero.
    if [ "${count:-0}" -lt 10000 ]; then
        echo "counts: $name: callgrind counted ${count:-nothing}; is $function still a function of its own?" >&2
        exit 1
    fi
    recorded+=("$name $count")
    threshold=$(sed -n "s/^$name \([0-9]*\)$/\1/p" "$thresholds" 2>/dev/null || true)
    if [ -z "$threshold" ]; then
        verdict="no threshold for Swift $version: make counts RECORD=1"
        # A toolchain nobody recorded yet is no regression; a forgotten name is a mistake.
        [ -n "${RECORD:-}" ] || [ ! -e "$thresholds" ] || failed=1
    else
        verdict=$(awk -v c="$count" -v t="$threshold" 'BEGIN { printf "%+.2f %% of %d", (c / t - 1) * 100, t }')
        if [ $((count * 100)) -gt $((threshold * (100 + tolerance_percent))) ] && [ -z "${RECORD:-}" ]; then
            verdict="$verdict: too many"
            failed=1
        fi
    fi
    printf '%-16s %12d  %s\n' "$name" "$count" "$verdict"
done
if [ -n "${RECORD:-}" ]; then
    mkdir -p "$(dirname "$thresholds")"
    printf '%s\n' "${recorded[@]}" >"$thresholds"
    echo "recorded in $thresholds"
elif [ $failed -ne 0 ]; then
    echo "counts: more than $tolerance_percent % above a threshold, or without one. If it is worth it: make counts RECORD=1" >&2
fi
exit $failed
