#!/usr/bin/env python3
"""The curves of docs/teachers.md from what TeacherCosts printed at several sizes of the catalogue:

    for items in 1000 5000 10000 100000; do
        MILLRACE_BENCHMARKS=1 swift run -c release TeacherCosts $items ease als ease:dense-mib=0
    done > costs.txt
    python3 Tests/Benchmarks/teacher_costs.py costs.txt docs/teachers
"""
import os
import re
import sys

from charts import curves

SIZE = re.compile(r"^(\d+) items,")
LINE = re.compile(r"^(\S+): solve (\S+) s, .*scores p50 (\S+) us p99 \S+ us, stored (\d+) bytes")
NAMES = {"ease:dense-mib=0": "ease, neighbours", "ease": "ease, dense", "sasrec:epochs=1": "sasrec, an epoch"}
CHARTS = [("solve", "Solving anew", "processor seconds"), ("scores", "Scores of one user", "microseconds, median"),
          ("stored", "The model, as it is stored", "megabytes")]


def main():
    size, found = 0, {}
    with open(sys.argv[1]) as file:
        for line in file:
            if match := SIZE.match(line):
                size = int(match[1])
            elif match := LINE.match(line):
                found.setdefault(match[1], {})[size] = (float(match[2]), float(match[3]), float(match[4]) / 1e6)
    os.makedirs(sys.argv[2], exist_ok=True)
    for place, (name, title, unit) in enumerate(CHARTS):
        series = []
        for teacher, sizes in found.items():
            # What is live is never solved and never stored.
            points = [(size, values[place]) for size, values in sorted(sizes.items()) if values[2] > 0 or place == 1]
            if len(points) > 1:
                series.append((NAMES.get(teacher, teacher), points))
        with open(os.path.join(sys.argv[2], f"{name}.svg"), "w") as file:
            file.write(curves(title, "items", unit, series))


if __name__ == "__main__":
    main()
