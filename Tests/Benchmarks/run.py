#!/usr/bin/env python3
"""`make bench`: P1 to P13, how fast, how small, how it grows, as ratios against real programs in the same run.

Writes docs/benchmarks/README.md and its charts from what the parts found, now or in earlier runs (.build/bench). Needs
redis-server, redis-benchmark and kcat; the parts that stand beside PyTorch, scipy and implicit need a Python that has
them (Tests/Benchmarks/peers), and say so in the table where there is none.
"""

import argparse
import os
import signal
import sys
import time
import traceback

import crowd
import feeds
import ingest
import lists
import models
import start
import teachers
from page import PARTS, ROOT, Part, Store, Unavailable, write

# What is measured together, in this order. Each is called with the run and a Part for every number.
MEASUREMENTS = [
    (["P1"], ingest.ingest), (["P2"], feeds.freshness), (["P3"], lists.serving), (["P4"], lists.model),
    (["P5"], models.forward), (["P6"], models.training), (["P7"], models.appending), (["P8"], models.trie),
    (["P9"], teachers.teachers), (["P10", "P11"], crowd.crowd), (["P12"], ingest.scaling), (["P13"], start.start),
]

# Settings of somebody's shell that make OpenBLAS compute as on another processor, ours and that of numpy and implicit.
CHOSEN_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def note(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """What every part needs to know."""

    def __init__(self, options):
        self.binary = os.path.abspath(options.binary)
        self.programs = os.path.abspath(options.programs or os.path.dirname(options.binary))
        self.python = options.python
        self.users, self.seconds, self.large = options.users, options.seconds, options.large
        self.data, self.note = options.data, note

    def program(self, name):
        path = os.path.join(self.programs, name)
        if not os.path.exists(path):
            raise Unavailable(f"{name} is not built (`make bench` builds it)")
        return path

    def recorded(self):
        """The folder of a recorded log; None without."""
        folder = os.path.join(self.data, "movietweetings")
        return folder if os.path.exists(f"{folder}/events.jsonl") else None

    def office(self):
        """The items of the split released with TCA4Rec; None without."""
        file = os.path.join(self.data, "office", "item.csv")
        return file if os.path.exists(file) else None


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="millrace, built for release")
    parser.add_argument("--programs", help="the folder of the Swift benchmark programs (default: that of the binary)")
    parser.add_argument("--python", default="python3", help="a Python that has peers/requirements.txt")
    parser.add_argument("--data", default=os.path.join(ROOT, "data"),
                        help="where the folders movietweetings and office are; without them simulated shops serve")
    parser.add_argument("--users", type=int, default=1_000_000, help="users of P10 and P11")
    parser.add_argument("--seconds", type=int, default=10, help="of P2")
    parser.add_argument("--large", action="store_true", help="the dear ends of the curves too (a quarter of an hour more)")
    parser.add_argument("--only", default=",".join(PARTS), help="a comma-separated choice, e.g. P5,P9")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs/benchmarks"))
    parser.add_argument("--work", default=os.path.join(ROOT, ".build/bench"), help="where the outcomes of parts are kept")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what a part has started ends with it
    chosen = set(options.only.split(","))
    for name in CHOSEN_KERNELS:
        os.environ.pop(name, None)
    run, store, missing, failed = Run(options), Store(options.work), {}, False
    os.makedirs(options.out, exist_ok=True)
    for numbers, measure in MEASUREMENTS:
        if not chosen & set(numbers):
            continue
        parts = [Part(number, options.out, note) for number in numbers]
        begin, conditions = time.monotonic(), f"{os.getloadavg()[0]:.1f}"
        try:
            measure(run, *parts)
            for part in parts:
                store.keep(part, time.monotonic() - begin, conditions)
        except Unavailable as reason:
            note(f"{', '.join(numbers)}: not measured: {reason}")
            missing.update(dict.fromkeys(numbers, str(reason)))
        except Exception as error:
            failed = True
            traceback.print_exc()
            missing.update(dict.fromkeys(numbers, f"it failed ({type(error).__name__})"))
        write(store.all(), missing, options.out)
    return failed


if __name__ == "__main__":
    sys.exit(main())
