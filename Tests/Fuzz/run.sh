#!/bin/bash
# make fuzz: builds the fuzz targets and runs one for so many seconds, or all of them, each for so many.
# What is found lies in .build-fuzz/found; .build-fuzz/corpus grows from run to run. Neither is committed: an input
# that found something becomes a seed in Tests/Fuzz/Laws.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-} seconds=${2:-60}
swift=${SWIFT:-swift}

# libFuzzer comes with Swift's own clang, which lies beside swift.
clang=$(dirname "$(readlink -f "$(command -v "$swift")")")/clang
runtime=$("$clang" --print-file-name="libclang_rt.fuzzer_no_main-$(uname -m).a")
if [ ! -e "$runtime" ]; then
    echo "fuzz: $clang brings no libFuzzer ($runtime); use a toolchain of swift.org" >&2
    exit 1
fi
build=(-c release --scratch-path .build-fuzz -Xlinker "$runtime")
MILLRACE_FUZZ=1 "$swift" build "${build[@]}" --product Fuzz
fuzz=$(MILLRACE_FUZZ=1 "$swift" build "${build[@]}" --show-bin-path)/Fuzz

names=$("$fuzz" --list)
if [ -n "$target" ] && ! grep -qx "$target" <<<"$names"; then
    echo "fuzz: no target $target; there are:" $names >&2
    exit 1
fi
# Where a trap was is in libFuzzer's report; Swift's own backtracer would need a minute for each.
export SWIFT_BACKTRACE=enable=no
failed=()
for name in ${target:-$names}; do
    corpus=.build-fuzz/corpus/$name found=.build-fuzz/found/$name
    mkdir -p "$corpus" "$found"
    "$fuzz" --seeds "$name" "$corpus"
    log=.build-fuzz/$name.log
    if "$fuzz" "$name" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=4096 \
        -print_final_stats=1 -artifact_prefix="$found/" "$corpus" 2>"$log"; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
            "$(ls "$corpus" | wc -l) kept, nothing found"
    else
        failed+=("$name")
        grep -aE '^law of|Fatal error|ERROR: |SUMMARY: ' "$log" | cut -c1-2000 || tail -n 20 "$log"
        grep -aoE "[^ ]*found/$name/[a-z]+-[0-9a-f]+" "$log" | sort -u | while read -r input; do
            echo "fuzz: $name: again with: $fuzz $name $input"
        done
    fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: found something: ${failed[*]}" >&2; exit 1; }
