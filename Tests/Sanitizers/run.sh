#!/bin/bash
# make tsan, make asan: the tests in a build folder of their own, instrumented.
set -euo pipefail
cd "$(dirname "$0")/../.."
sanitizer=$1 rounds=$2
swift=${SWIFT:-swift}
case $sanitizer in
thread)
    scratch=.build-tsan
    suites=(PipelineTests SocketServerTests RedisStateTests KafkaIngestTests TelemetryTests)
    export TSAN_OPTIONS="halt_on_error=0 exitcode=66 ${TSAN_OPTIONS:-}"
    ;;
address)
    scratch=.build-asan
    export LSAN_OPTIONS="suppressions=$PWD/Tests/Sanitizers/leaks.txt print_suppressions=0 ${LSAN_OPTIONS:-}"
    # Everything but the daemon as a whole, whose processes have a build of their own.
    suites=(InteractionsTests TensorsTests TeachersTests RecommenderTests EvaluationTests PipelineTests FuzzTests
        WireProtocolTests KafkaIngestTests RedisStateTests SocketServerTests TelemetryTests SettingsTests)
    ;;
esac
build=(--sanitize="$sanitizer" --scratch-path "$scratch")
"$swift" build "${build[@]}" --build-tests
tests=$(echo "$("$swift" build "${build[@]}" --show-bin-path)"/*.xctest)
preload=
if [ "$sanitizer" = thread ]; then
    clang=$(dirname "$(readlink -f "$(command -v "$swift")")")/clang
    "$clang" -O1 -g -Wall -Wextra -Werror -fPIC -shared -o "$scratch/synchronization.so" \
        Tests/Sanitizers/synchronization.c
    preload=$PWD/$scratch/synchronization.so
fi

failed=0
for round in $(seq "$rounds"); do
    for suite in "${suites[@]}"; do
        log=$scratch/$suite-$round.log
        if LD_PRELOAD=$preload "$tests" --testing-library swift-testing --no-parallel --filter "$suite" \
            >"$log" 2>&1 && ! grep -q 'WARNING: ThreadSanitizer' "$log"; then
            echo "$sanitizer: $suite, round $round: $(tail -n 1 "$log")"
        else
            failed=1
            echo "$sanitizer: $suite, round $round: see $log" >&2
            grep -aE '^SUMMARY: |recorded an issue|Fatal error' "$log" | sort | uniq -c >&2 || tail -n 5 "$log" >&2
        fi
    done
done
exit $failed
