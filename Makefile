# `make demo` and `make test` do everything on a fresh Debian 12 with Swift 6.3, as root or with sudo.
SWIFT ?= swift
SWIFT_BUILD_FLAGS ?=
PYTHON ?= python3
# Swift's libraries go into the program: where it runs, only Debian's packages are needed.
RELEASE = -c release --static-swift-stdlib $(SWIFT_BUILD_FLAGS)
BENCHMARKS = DecoderBenchmark ModelCosts TeacherCosts TrieBenchmark
# The log to show instead of a simulated shop: make demo LOG=folder
LOG ?=
DEMO_FLAGS ?=
TEST_FLAGS ?=
BENCH_FLAGS ?=
# Folders `movietweetings` (a log) and `office` (the split released with TCA4Rec); benchmarks that miss them make up shops
DATA ?= data
RECORD ?=
# make fuzz: which target (all when empty), and for how long each
TARGET ?=
SECONDS ?= 60
# make tsan: ThreadSanitizer finds a race only where two threads meet, so once is not enough
ROUNDS ?= 3
DESTDIR ?=
prefix ?= /usr
sysconfdir ?= /etc
unitdir ?= /usr/lib/systemd/system

FORMATTED = Sources Tests Package.swift

.PHONY: all setup build demo test lint format census parity bench bench-refresh bench-summaries overload counts fuzz tsan asan check-config install clean

all: build

# Packages of Debian, and the right Swift: needs root or sudo when a package is missing.
setup:
	@SWIFT=$(SWIFT) .ci/setup

build:
	$(SWIFT) build $(RELEASE) --product millrace

# A private Redis, a private broker and a simulated shop: a feed changes before your eyes.
demo: setup build
	"$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" demo $(DEMO_FLAGS) $(if $(LOG),--log "$(LOG)")

# The tests that start the daemon start the program as it is shipped: the optimiser can be wrong too.
test: setup build
	$(SWIFT) build $(SWIFT_BUILD_FLAGS) --build-tests
	MILLRACE_EXECUTABLE="$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" \
		SWIFT="$(SWIFT)" SWIFT_BUILD_FLAGS="$(SWIFT_BUILD_FLAGS)" Tests/run.sh $(TEST_FLAGS)

lint:
	$(SWIFT) format lint -s -r $(FORMATTED)

format:
	$(SWIFT) format -i -r $(FORMATTED)

# Records the count of unsafe and unchecked places anew, after a reading of what changed.
census:
	MILLRACE_RECORD_CENSUS=1 $(SWIFT) test --filter RepositoryTests

# Files of ours in Hugging Face's libraries: needs a Python that has them, in PYTHON.
parity:
	$(SWIFT) build $(SWIFT_BUILD_FLAGS) --build-tests
	$(PYTHON) Tests/Parity/formats.py

# P1 to P13, ratios against real programs on this machine, into docs/benchmarks: half an hour. What earlier runs found
# is kept: BENCH_FLAGS='--only P5,P9' measures those anew. The libraries beside us come from PYTHON, or .build/peers.
bench: setup build
	for program in $(BENCHMARKS); do \
	    MILLRACE_BENCHMARKS=1 $(SWIFT) build $(RELEASE) --product $$program || exit 1; \
	done
	python3 Tests/Benchmarks/run.py "$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" --data "$(DATA)" \
		--python "$$(Tests/Benchmarks/peers/install $(PYTHON) .build/peers)" $(BENCH_FLAGS)

# What happens when more is asked of the daemon than it can do, into docs/benchmarks.
overload: build
	python3 Tests/Benchmarks/overload.py --binary "$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" $(BENCH_FLAGS)

# Instructions of the hot ways, by callgrind, against Tests/Benchmarks/Thresholds; RECORD=1 records them anew.
counts:
	@SWIFT=$(SWIFT) .ci/setup valgrind
	@SWIFT=$(SWIFT) RECORD=$(RECORD) Tests/Benchmarks/counts.sh

# Every parser of foreign bytes under libFuzzer, SECONDS each, or only TARGET.
fuzz:
	@SWIFT=$(SWIFT) Tests/Fuzz/run.sh "$(TARGET)" "$(SECONDS)"

# The suites with threads under ThreadSanitizer, ROUNDS times; then what must not touch foreign memory under
# AddressSanitizer. Each has a build folder of its own.
tsan:
	@SWIFT=$(SWIFT) Tests/Sanitizers/run.sh thread "$(ROUNDS)"

asan:
	@SWIFT=$(SWIFT) Tests/Sanitizers/run.sh address 1

# What summaries are worth, into docs/benchmarks/summaries.md: DATA holds the folders movietweetings and office. Hours of
# a core; goes on where it was interrupted.
bench-summaries: build
	python3 Tests/Benchmarks/summaries.py "$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" "$(DATA)"

# What refreshes are worth on a stream, by teacher and setting: an hour or two of one core, and it goes on where it was
# interrupted. DATA holds the folders `movietweetings` (a log) and `office` (the split released with TCA4Rec).
bench-refresh: build
	$(PYTHON) Tests/Benchmarks/refreshes.py "$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" "$(DATA)" \
		--work .build/refreshes --report $(BENCH_FLAGS)

check-config: build
	"$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" check-config Config/millrace.yaml

# An existing settings file stays.
install: build
	install -D -m 755 "$$($(SWIFT) build $(RELEASE) --show-bin-path)/millrace" "$(DESTDIR)$(prefix)/bin/millrace"
	install -d "$(DESTDIR)$(unitdir)" "$(DESTDIR)$(sysconfdir)/millrace"
	for unit in systemd/*; do \
	    sed 's|/usr/bin/millrace|$(prefix)/bin/millrace|; s|/etc/millrace|$(sysconfdir)/millrace|' "$$unit" \
	        > "$(DESTDIR)$(unitdir)/$${unit##*/}" || exit 1; \
	done
	test -e "$(DESTDIR)$(sysconfdir)/millrace/millrace.yaml" \
	    || install -m 644 Config/millrace.yaml "$(DESTDIR)$(sysconfdir)/millrace/millrace.yaml"

clean:
	$(SWIFT) package clean
