#!/bin/bash
# All tests, in two processes beside each other: those with a broker or a daemon wait most of their time, the others
# compute most of theirs. With arguments, one process with these.
set -uo pipefail
swift=${SWIFT:-swift}
run() { "$swift" test ${SWIFT_BUILD_FLAGS:-} --skip-build --ignore-lock --no-parallel --quiet "$@"; }
if (($# > 0)); then
    run "$@"
    exit
fi
waiting='^(DaemonTests|KafkaIngestTests)\.'
run --filter "$waiting" &
first=$!
run --skip "$waiting"
second=$?
wait "$first" && exit "$second"
