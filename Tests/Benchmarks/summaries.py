#!/usr/bin/env python3
"""What a summary of older events is worth: the item-aware model with short windows, with the template's summary before
them or the mean of the older items' vectors or both, and with long windows (`millrace train`); and LLM-TRSR's ranker with m recent items, with and without the summary
(`millrace train-ranker`). Writes docs/benchmarks/summaries.md.

    python3 Tests/Benchmarks/summaries.py MILLRACE DATA [--work FOLDER] [--out docs/benchmarks] [--seeds 1,2,3]
                                          [--only ranker|model] [--report]

DATA holds the folders `movietweetings` (a log) and `office` (the split released with TCA4Rec). Every run's outcome is
kept in the work folder, so an interrupted comparison goes on where it was; --report only writes what there is.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys

LOGS = {"movietweetings": ("MovieTweetings", []), "office": ("Office", ["--protocol", "office"])}

# Ranker: name, options.
RANKER = ["--examples", "2000", "--epochs", "2", "--width", "64", "--layers", "2", "--judged", "500"]
RANKER_ARMS = [(f"m = {m}, {'summary' if summary else 'no summary'}",
                ["--recent", str(m)] + ([] if summary else ["--no-summary"]))
               for m in (0, 3, 5, 10) for summary in (False, True)]
RANKER_LINE = re.compile(r"^test, (?P<who>ranker|popularity): +(?P<rest>.*)$")
RANKER_NUMBER = re.compile(r"(R@\d+|MRR@\d+) ([0-9.]+)")

# Item-aware model: log, name, options. A window of 10 is short where users have dozens of events; Office's histories
# end at 10.
MODEL = ["--answer-weight", "0"]
MODEL_ARMS = {
    "movietweetings": [("window 10", ["--history-max", "10"]),
                       ("window 10, summary", ["--history-max", "10", "--summaries"]),
                       ("window 10, mean", ["--history-max", "10", "--older", "mean"]),
                       ("window 10, summary and mean", ["--history-max", "10", "--summaries", "--older", "mean"]),
                       ("window 30", ["--history-max", "30"]),
                       ("window 30, summary", ["--history-max", "30", "--summaries"]),
                       ("window 30, mean", ["--history-max", "30", "--older", "mean"]),
                       ("window 60", ["--history-max", "60"])],
    "office": [("window 3", ["--history-max", "3"]),
               ("window 3, summary", ["--history-max", "3", "--summaries"]),
               ("window 3, mean", ["--history-max", "3", "--older", "mean"]),
               ("window 3, summary and mean", ["--history-max", "3", "--summaries", "--older", "mean"]),
               ("window 5", ["--history-max", "5"]),
               ("window 5, summary", ["--history-max", "5", "--summaries"]),
               ("window 5, mean", ["--history-max", "5", "--older", "mean"]),
               ("window 10", ["--history-max", "10"])],
}
MODEL_PARTS = {"movietweetings": ["all", "20 or more before", "60 or more before"], "office": ["all"]}
MODEL_LOG = {"movietweetings": ["--test-share", "0.1"], "office": []}
MODEL_LINE = re.compile(
    r"^test, (?P<part>[a-z0-9 ]+): HR@10 (?P<hit>[0-9.]+), NDCG@10 (?P<gain>[0-9.]+) of (?P<count>\S.*)$")


def place(work, kind, log, options, seed):
    """Where a training's outcome is kept."""
    return os.path.join(work, re.sub(r"[^a-z0-9.]+", "-", " ".join([kind, log] + options + [f"seed {seed}"])))


def measure(program, data, path, kind, log, options, seed, parse):
    print(kind, log, *options, "seed", seed, file=sys.stderr, flush=True)
    command = [program, kind, "--data", os.path.join(data, log), "--out", path, "--seed", str(seed)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run(command + LOGS[log][1] + options, check=True, capture_output=True, text=True,
                          env=dict(os.environ, OPENBLAS_NUM_THREADS="1")).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = parse(text)
    outcome["seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with open(path + ".new", "w") as file:
        json.dump(outcome, file)
    os.replace(path + ".new", path + ".json")
    shutil.rmtree(path, ignore_errors=True)
    return outcome


def ranker_numbers(text):
    found = {}
    for line in text.splitlines():
        if match := RANKER_LINE.match(line.strip()):
            found[match["who"]] = {name: float(value) for name, value in RANKER_NUMBER.findall(match["rest"])}
    return found


def model_numbers(text):
    found = {}
    for line in text.splitlines():
        if match := MODEL_LINE.match(line.strip()):
            found[match["part"]] = [float(match["hit"]), float(match["gain"]),
                                    int(re.sub(r"\D", "", match["count"]))]
    return found


def spread(values, digits=4):
    text = f"{statistics.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith("0.") else text


def difference(rows, others, value):
    """Of the seeds that both have: their mean and its standard error."""
    gaps = [value(row) - value(others[seed]) for seed, row in rows.items() if seed in others]
    if len(gaps) < 2:
        return ""
    return f"{statistics.mean(gaps):+.4f} ± {statistics.stdev(gaps) / len(gaps) ** .5:.4f}"


def by_seed(outcomes, log, name):
    return {seed: row for (where, what, seed), row in sorted(outcomes.items()) if (where, what) == (log, name)}


def ranker_table(log, outcomes):
    names = ["R@3", "R@5", "R@10", "MRR@10"]
    lines = ["| | " + " | ".join(names) + " | MRR@10 against no summary, same seeds | seeds | CPU s |",
             "| --- |" + " --- |" * (len(names) + 3)]
    for name, _ in RANKER_ARMS:
        rows = by_seed(outcomes, log, name)
        if not rows:
            continue
        gap = ""
        if not name.endswith("no summary"):
            gap = difference(rows, by_seed(outcomes, log, name.replace("summary", "no summary")),
                             lambda row: row["ranker"]["MRR@10"])
        cells = [spread([row["ranker"][metric] for row in rows.values()], 3) for metric in names]
        lines.append(f"| {name} | " + " | ".join(cells)
                     + f" | {gap} | {len(rows)} | {statistics.mean(row['seconds'] for row in rows.values()):.0f} |")
    some = [row for (where, _, _), row in outcomes.items() if where == log and "popularity" in row]
    if some:
        lines.append("| popularity | " + " | ".join(
            spread([statistics.mean(row["popularity"][metric] for row in some)], 3) for metric in names) + " | | | |")
    return lines


def model_table(log, outcomes):
    lines = []
    for part in MODEL_PARTS[log]:
        counts = [row[part][2] for (where, _, _), row in outcomes.items() if where == log and part in row]
        if not counts:
            continue
        lines += [f"Of {'all users' if part == 'all' else 'users with ' + part}, {counts[0]} scored choices:", "",
                  "| | HR@10 | NDCG@10 | NDCG@10 against the same window alone, same seeds | seeds | CPU s |",
                  "| --- | --- | --- | --- | --- | --- |"]
        for name, _ in MODEL_ARMS[log]:
            rows = by_seed(outcomes, log, name)
            if not rows:
                continue
            gap = ""
            window = name.split(",")[0]
            if name != window:
                gap = difference(rows, by_seed(outcomes, log, window), lambda row: row[part][1])
            lines.append(f"| {name} | " + spread([row[part][0] for row in rows.values()]) + " | "
                         + spread([row[part][1] for row in rows.values()]) + f" | {gap} | {len(rows)} | "
                         + f"{statistics.mean(row['seconds'] for row in rows.values()):.0f} |")
        lines.append("")
    return lines


def write(out, models, rankers):
    text = ["# What a summary is worth, measured", "",
            "Written by `make bench-summaries` (Tests/Benchmarks/summaries.py); what it means is in",
            "[summaries.md](../summaries.md) and [ranker.md](../ranker.md). Mean and deviation over seeds; differences: mean",
            "and standard error over the seeds that both have.", ""]
    for log, (title, _) in LOGS.items():
        if any(where == log for where, _, _ in models):
            text += [f"## The item-aware model on {title}", "",
                     f"`millrace train {' '.join(LOGS[log][1] + MODEL + MODEL_LOG[log])} --history-max W "
                     "[--summaries] [--older mean]`, full ranking.", ""] + model_table(log, models)
    for log, (title, _) in LOGS.items():
        if any(where == log for where, _, _ in rankers):
            text += [f"## The ranker on {title}", "",
                     f"`millrace train-ranker {' '.join(LOGS[log][1] + RANKER)} --recent m [--no-summary]`, "
                     "one chosen and 20 drawn items.", ""] + ranker_table(log, rankers) + [""]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "summaries.md"), "w") as file:
        file.write("\n".join(text).rstrip() + "\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program")
    options.add_argument("data")
    options.add_argument("--work", default=".build/summaries")
    options.add_argument("--out", default="docs/benchmarks")
    options.add_argument("--seeds", default="1,2,3")
    options.add_argument("--only", choices=["ranker", "model"])
    options.add_argument("--logs", default=",".join(LOGS))
    options.add_argument("--report", action="store_true")
    asked = options.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    os.makedirs(asked.work, exist_ok=True)
    models, rankers = {}, {}

    def take(table, key, kind, arm, parse):
        path = place(asked.work, kind, key[0], arm, key[2])
        if os.path.exists(path + ".json"):
            with open(path + ".json") as file:
                table[key] = json.load(file)
        elif not asked.report:
            table[key] = measure(asked.program, asked.data, path, kind, key[0], arm, key[2], parse)

    # Seed by seed, so that an interrupted comparison has every arm with the seeds it has.
    for seed in seeds:
        for log in asked.logs.split(","):
            if asked.only != "ranker":
                for name, arm in MODEL_ARMS[log]:
                    take(models, (log, name, seed), "train", MODEL + MODEL_LOG[log] + arm, model_numbers)
            if asked.only != "model":
                for name, arm in RANKER_ARMS:
                    take(rankers, (log, name, seed), "train-ranker", RANKER + arm, ranker_numbers)
    write(asked.out, models, rankers)


main()
