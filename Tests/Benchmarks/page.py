"""What the parts of the benchmark found, a JSON file each, and the page that is written from all of them.

A part that is measured again replaces its own file only, so an interrupted run, or one of a single part, loses nothing.
"""

import ctypes
import datetime
import json
import os
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
# Title and goal of every part, for rows of parts that could not be measured.
PARTS = {
    "P1": ("ingest", ">= 50 000 events/s, >= 0.5 x"),
    "P2": ("freshness", "p99 <= 50 ms, p50 <= 3 x"),
    "P3": ("lists of the collaborative sources", "p99 <= 1 ms, >= 0.25 x, >= 0.7 x"),
    "P4": ("lists of the model", "p50 <= 10 ms, p99 <= 25 ms, >= 10 x"),
    "P5": ("decoder, forward", ">= 1.2 x"),
    "P6": ("decoder, training step of an adapter", ">= 1.5 x tokens/s, <= 0.5 x peak memory"),
    "P7": ("one event appended to a user's model state", "<= 1.2 x from 10 to 10 000 events"),
    "P8": ("trie", ">= 50 x"),
    "P9": ("teachers", ">= 1 x, >= 1 x, p99 <= 0.3 ms"),
    "P10": ("recovery after kill -9", "<= 2 s, nothing twice"),
    "P11": ("memory", "<= 512 B + 8 B an entry, <= 2 048 B an item, flat"),
    "P12": ("scale-out", "same digest, >= 1.6 x or CPU within 10 %"),
    "P13": ("start", "<= 10 min, <= 60 MB"),
}


class Unavailable(Exception):
    """A part cannot be measured here; the reason goes into the table."""


class Part:
    """What one part found: rows of the table and charts."""

    def __init__(self, number, out, note):
        self.number, self.out, self.note = number, out, note
        self.rows, self.charts = [], []

    def row(self, what, against, figure, goal, reached):
        """`reached`: whether the goal is, or None where none is set or nothing was measured."""
        verdict = "-" if reached is None else "yes" if reached else "**no**"
        self.rows.append((what, against, figure, goal, verdict))
        self.note(f"{self.number}: {what}: {figure} (against {against}); goal {goal}: {verdict}")

    def chart(self, name, svg, caption):
        with open(os.path.join(self.out, name + ".svg"), "w") as file:
            file.write(svg)
        self.charts.append((name, caption))


class Store:
    """The outcome of each part, in a work folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def keep(self, part, seconds, conditions):
        outcome = {"date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "commit": commit(), "seconds": round(seconds),
                   "conditions": conditions, "rows": part.rows, "charts": part.charts}
        path = os.path.join(self.folder, part.number + ".json")
        with open(path + ".new", "w") as file:
            json.dump(outcome, file, indent=1)
        os.replace(path + ".new", path)

    def all(self):
        found = {}
        for number in PARTS:
            path = os.path.join(self.folder, number + ".json")
            if os.path.exists(path):
                with open(path) as file:
                    found[number] = json.load(file)
        return found


def commit():
    return subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True).stdout.strip()


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "unknown")
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()[2]
    return f"{os.cpu_count()} x {cpu}, Redis {redis.removeprefix('v=')}, {linear_algebra()}, Linux {os.uname().release}"


def linear_algebra():
    """OpenBLAS, and the processor whose kernels it chose."""
    try:
        library = ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return "no OpenBLAS"
    library.openblas_get_config.restype = library.openblas_get_corename.restype = ctypes.c_char_p
    version = " ".join(library.openblas_get_config().decode().split()[:2])
    return f"{version} with kernels for {library.openblas_get_corename().decode()}"


def write(found, missing, out):
    """`missing`: why parts that nothing is known of were not measured."""
    commits = {outcome["commit"] for outcome in found.values()}
    lines = [
        "# How fast, how small, how it grows", "",
        "Every figure stands beside something real, measured in the same run on the same machine: ratios carry over to "
        "other machines, absolute numbers do not. Written by `make bench` (`BENCH_FLAGS='--only P5,P9'` measures those "
        "again and keeps the rest); change nothing here by hand. Where the time goes: [profile.md](../profile.md).", "",
        f"{machine()}; the broker (`millrace broker`, librdkafka's mock cluster), Redis, daemon and load generator share "
        "the processors."
        + (" The parts were measured at different commits: see the end of the page." if len(commits) > 1 else ""),
        "", "| # | what | against | measured | goal | reached |", "| --- | --- | --- | --- | --- | --- |"]
    for number, (title, goal) in PARTS.items():
        if number in found:
            lines += [f"| {number} | " + " | ".join(row) + " |" for row in found[number]["rows"]]
        else:
            lines.append(f"| {number} | {title} | - | not measured: {missing.get(number, 'not asked for yet')} "
                         f"| {goal} | - |")
    lines += ["", "## Growth and detail"]
    for number, outcome in found.items():
        for name, caption in outcome["charts"]:
            lines += ["", f"{number}: {caption}", "", f"![{caption}]({name}.svg)"]
    lines += ["", "## When", "", "| # | measured | at commit | took | load of the machine before |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {number} | {outcome['date']} | {outcome['commit']} | {outcome['seconds']} s | {outcome['conditions']} |"
              for number, outcome in found.items()]
    with open(os.path.join(out, "README.md"), "w") as file:
        file.write("\n".join(lines) + "\n")
