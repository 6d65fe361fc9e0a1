#!/usr/bin/env python3
"""What the parts of the item-aware model are worth: trains every variant with several seeds by `millrace train`, and
writes docs/ablation.md with its charts.

    python3 Tests/Benchmarks/ablation.py MILLRACE DATA [--out docs] [--seeds 1,2,3] [--only office]

DATA holds the folders `office` (the split released with TCA4Rec) and `movietweetings` (a log). Every run's outcome is
kept in the work folder, so an interrupted comparison goes on where it was.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys

from charts import dots

# Name, options, what it is.
VARIANTS = [
    ("split, gated", [], "the default: blocks within items, then across their vectors; text and gated identity"),
    ("split, text only", ["--vectors", "text"], "no identity vectors"),
    ("identity only", ["--vectors", "identity"], "no text: SASRec with one block"),
    ("plain, gated", ["--attention", "plain"], "the same blocks, all causal over all tokens of the history"),
    ("plain, same time", ["--attention", "plain", "--epochs", "2"],
     "plain, stopped when the default has had all its epochs"),
    ("plain, text only", ["--attention", "plain", "--vectors", "text"], "plain without identity vectors"),
]
LOGS = {
    "office": (["--protocol", "office"], "Office", "the 5 000 test rows of the fixed split"),
    "movietweetings": (["--test-share", "0.1"], "MovieTweetings",
                       "the newest tenth of the log, scored by a model that does not learn from it"),
}
LINE = re.compile(r"^test, (?P<part>[a-z0-9 ]+): HR@10 (?P<hit>[0-9.]+), NDCG@10 (?P<gain>[0-9.]+) of (?P<count>\S.*)$")
EPOCH = re.compile(r"^epoch (\d+): ")
KEPT = re.compile(r"^kept epoch (\d+)")


def run(program, data, log, options, seed, work):
    name = re.sub(r"[^a-z0-9]+", "-", " ".join([log] + options + [f"seed {seed}"]))
    place = os.path.join(work, name + ".json")
    if os.path.exists(place):
        with open(place) as file:
            return json.load(file)
    print(f"{log} {' '.join(options) or 'default'} seed {seed}", file=sys.stderr, flush=True)
    command = [program, "train", "--data", os.path.join(data, log), "--out", os.path.join(work, name), "--seed",
               str(seed), "--answer-weight", "0"] + LOGS[log][0] + options
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = {"parts": {}, "epochs": 0,
               "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}
    for line in text.splitlines():
        if found := LINE.match(line.strip()):
            outcome["parts"][found["part"]] = (float(found["hit"]), float(found["gain"]),
                                               int(re.sub(r"\D", "", found["count"])))
        elif found := EPOCH.match(line.strip()):
            outcome["epochs"] = int(found[1])
        elif found := KEPT.match(line.strip()):
            outcome["kept"] = int(found[1])
    if "all" not in outcome["parts"]:
        raise SystemExit(f"no scores in the output of {' '.join(command)}:\n{text}")
    with open(place, "w") as file:
        json.dump(outcome, file)
    return outcome


def mean(values):
    return statistics.fmean(values)


def spread(values):
    return statistics.stdev(values) if len(values) > 1 else 0.0


def number(value):
    return f"{value:.4f}".lstrip("0") if value < 1 else f"{value:.4f}"


def table(outcomes, seeds):
    lines = ["| variant | HR@10 | NDCG@10 | against the default, same seed | never seen HR@10 | epoch kept | CPU s an epoch, with its validation |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    base = [outcome["parts"]["all"][1] for outcome in outcomes["split, gated"]]
    for name, _, _ in VARIANTS:
        rows = outcomes[name]
        hits = [row["parts"]["all"][0] for row in rows]
        gains = [row["parts"]["all"][1] for row in rows]
        differences = [gain - first for gain, first in zip(gains, base)]
        never = [row["parts"]["never seen"][0] for row in rows if "never seen" in row["parts"]]
        against = "" if name == "split, gated" else f"{mean(differences):+.4f} ± {spread(differences):.4f}"
        lines.append(
            f"| {name} | {number(mean(hits))} ± {spread(hits):.4f} | {number(mean(gains))} ± {spread(gains):.4f} | "
            f"{against} | {number(mean(never)) if never else ''} | "
            f"{', '.join(str(row['kept']) for row in rows)} | "
            f"{mean([row['seconds'] / max(1, row['epochs']) for row in rows]):.1f} |")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--out", default="docs")
    parser.add_argument("--work", default="ablation")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", choices=list(LOGS))
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    os.makedirs(arguments.work, exist_ok=True)
    os.makedirs(os.path.join(arguments.out, "ablation"), exist_ok=True)
    sections = []
    for log, (_, title, rows) in LOGS.items():
        if arguments.only not in (None, log):
            continue
        outcomes = {name: [] for name, _, _ in VARIANTS}
        for seed in seeds:
            for name, options, _ in VARIANTS:
                outcomes[name].append(run(arguments.program, arguments.data, log, options, seed, arguments.work))
        for place, measure in ((0, "HR@10"), (1, "NDCG@10")):
            points = [(name, [row["parts"]["all"][place] for row in outcomes[name]]) for name, _, _ in VARIANTS]
            chart = f"{log}-{measure.split('@')[0].lower()}.svg"
            with open(os.path.join(arguments.out, "ablation", chart), "w") as file:
                file.write(dots(f"{title}: {measure}, one dot a seed", points))
        count = outcomes["split, gated"][0]["parts"]["all"][2]
        sections += [f"## {title}, {rows}", "", f"{count:,} scored rows; mean and deviation of {len(seeds)} seeds.".replace(",", " "),
                     ""] + table(outcomes, seeds) + [
                         "", f"![NDCG@10](ablation/{log}-ndcg.svg)", f"![HR@10](ablation/{log}-hr.svg)", ""]
    with open(os.path.join(arguments.out, "ablation", "tables.md"), "w") as file:
        file.write("\n".join(sections))
    print("\n".join(sections))


if __name__ == "__main__":
    main()
