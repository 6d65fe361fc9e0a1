#!/usr/bin/env python3
"""What refreshes are worth on a stream, with plain labels and with each teacher's: writes docs/benchmarks/refreshes.md.

    python3 Tests/Benchmarks/refreshes.py MILLRACE DATA [--work FOLDER] [--seeds 1,2,3] [--wide 1] [--report]

DATA holds the folders `movietweetings` (a log) and `office` (the split released with TCA4Rec). A base is trained on the
oldest fifth of the log. Then, for each further tenth: it is scored first, event by event, then `millrace refresh` learns
what was seen, as the daemon would: the newest tenth of it is the gate's, a refused adapter leaves what serves. Every
outcome is kept in the work folder, so an interrupted run goes on where it was; --report only writes the page.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys

from charts import dots, lines

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BASE, STEP = 20, 10
ALPHAS = (0.05, 0.1, 0.3)


def aligned(teacher, alpha, *more):
    """Alpha as it is, not scaled by evidence, unless told otherwise."""
    return ["--teacher", teacher, "--alpha", str(alpha), *(more or ("--evidence-half", "0"))]


# Name -> options of `millrace refresh`; None: no refresh.
CORE = {"no refresh": None, "plain labels": []}
CORE |= {f"transitions, {alpha}": aligned("transitions", alpha) for alpha in ALPHAS}
WIDE = {
    "transitions, 0.6 by evidence": aligned("transitions", 0.6, "--evidence-half", "10"),
    "transitions, 0.1, published loss": aligned(
        "transitions", 0.1, "--evidence-half", "0", "--loss", "log-of-expectation"),
    "a tenth of the learning rate": ["--learning-rate", "0.0003"],
    "anchor 10": ["--anchor", "10"],
    "divergence 100 (PESO)": ["--divergence", "100"],
    "divergence 1000 (PESO)": ["--divergence", "1000"],
}
WIDE |= {f"{teacher}, {alpha}": aligned(teacher, alpha)
         for teacher in ("popularity", "rules", "item-knn", "sasrec", "ease", "als") for alpha in ALPHAS}
# Name -> options of `millrace train` on Office.
SCRATCH = {"plain labels": []}
SCRATCH |= {f"transitions, {alpha}": aligned("transitions", alpha) for alpha in ALPHAS}
SCRATCH |= {
    "transitions, 0.6 by evidence": aligned("transitions", 0.6, "--evidence-half", "10"),
    "transitions, 0.1, published loss": aligned(
        "transitions", 0.1, "--evidence-half", "0", "--loss", "log-of-expectation"),
}
TEST = re.compile(r"^test, ([a-z0-9 ]+): HR@10 ([0-9.]+), NDCG@10 ([0-9.]+) of (.*)$")


def note(text):
    print(text, file=sys.stderr, flush=True)


def slug(*words):
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(map(str, words)).lower())


class Bench:
    def __init__(self, options):
        self.program, self.data, self.work = options.program, options.data, options.work
        os.makedirs(self.work, exist_ok=True)

    def path(self, *words):
        return os.path.join(self.work, slug(*words))

    def kept(self, name, make):
        """The outcome of that name, made unless it is there."""
        place = self.path(name) + ".json"
        if not os.path.exists(place):
            found = make()
            with open(place + ".partial", "w") as file:
                json.dump(found, file)
            os.rename(place + ".partial", place)
        with open(place) as file:
            return json.load(file)

    def call(self, *words, codes=(0,)):
        """What the program prints, and its CPU seconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True,
                              env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr[-2000:]}")
        return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The stream

    def stream(self):
        """A folder for each moment of the stream: all that has happened by then. Times of their last events."""
        source = os.path.join(self.data, "movietweetings")
        with open(os.path.join(source, "events.jsonl")) as file:
            events = file.readlines()
        self.times = {}
        for share in range(BASE, 101, STEP):
            folder = self.path("until", share)
            end = len(events) * share // 100
            self.times[share] = json.loads(events[end - 1])["ts"]
            if os.path.exists(folder):
                continue
            os.makedirs(folder + ".partial", exist_ok=True)
            with open(os.path.join(folder + ".partial", "events.jsonl"), "w") as file:
                file.writelines(events[:end])
            os.symlink(os.path.join(source, "items.jsonl"), os.path.join(folder + ".partial", "items.jsonl"))
            os.rename(folder + ".partial", folder)

    def base(self, seed):
        folder = self.path("base", seed)
        self.kept(f"base {seed} trained", lambda: self.call(
            "train", "--data", self.path("until", BASE), "--out", folder, "--answer-weight", 0, "--seed", seed)[1])
        return folder

    def score(self, seed, adapter, share, model=None):
        """The tenth after `share` per cent, every second event by the state just before it."""
        words = ["eval", "--data", self.path("until", share + STEP), "--warm-up", share / (share + STEP),
                 "--every", 2, "--model", model or self.base(seed), "--teacher", "popularity", "--json"]
        found = json.loads(self.call(*words, *(["--adapter", adapter] if adapter else []))[0])
        return {source["name"]: [source["hr"]["mean"], source["ndcg"]["mean"]] for source in found["sources"]}

    def chain(self, seed, arm, options):
        """Scores of every tenth after the base's, and what became of each refresh."""
        adapter, known, rows = None, self.times[BASE], []
        for share in range(BASE, 100, STEP):
            refresh = None
            if options is not None and share > BASE:
                output = self.path(arm, seed, share)
                refresh = self.kept(f"{arm} {seed} {share} refresh", lambda: self.refresh(
                    seed, adapter, known, share, output, options))
                if refresh["passed"]:
                    adapter, known = output, refresh["learnt_until"]
            name = f"{arm} {seed} {share} score" if refresh else f"no refresh {seed} {share} score"
            row = self.kept(name, lambda: self.score(seed, adapter, share))
            rows.append({"share": share, "refresh": refresh, **row})
        return rows

    def refresh(self, seed, adapter, known, share, output, options):
        status = output + ".status"
        words = ["refresh", "--model", self.base(seed), "--data", self.path("until", share), "--known-until", known,
                 "--output", output, "--status", status, "--seed", seed, "--niceness", 0, *options]
        _, seconds = self.call(*words, *(["--previous", adapter] if adapter else []), codes=(0, 3))
        with open(status) as file:
            found = json.load(file)
        note(f"{os.path.basename(output)}: {found['stage']}, {seconds:.1f} CPU s")
        return {"passed": found["stage"] == "passed", "reason": found["reason"], "seconds": seconds,
                "learnt_until": found.get("learnt_until")}

    def retrained(self, seed):
        """Scores of a model that is trained anew, on all that was seen, before every tenth."""
        rows = []
        for share in range(BASE, 100, STEP):
            folder = self.path("anew", seed, share)

            def run():
                seconds = self.call("train", "--data", self.path("until", share), "--out", folder,
                                    "--answer-weight", 0, "--seed", seed)[1]
                note(f"{os.path.basename(folder)}: {seconds:.0f} CPU s")
                return {"seconds": seconds} | self.score(seed, None, share, folder)
            rows.append({"share": share, **self.kept(f"anew {seed} {share} score", run)})
        return rows

    # The fixed split

    def scratch(self, seed, arm, options):
        def train():
            folder = self.path("office", arm, seed)
            text, seconds = self.call("train", "--protocol", "office", "--data", os.path.join(self.data, "office"),
                                      "--out", folder, "--answer-weight", 0, "--seed", seed, *options)
            parts = {m[1]: [float(m[2]), float(m[3])] for m in map(TEST.match, text.splitlines()) if m}
            note(f"office, {arm}, {seed}: {parts['all']}, {seconds:.0f} CPU s")
            return {"parts": parts, "seconds": seconds}
        return self.kept(f"office {arm} {seed}", train)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="millrace, built for release")
    parser.add_argument("data")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs/benchmarks"))
    parser.add_argument("--work", default="refreshes")
    parser.add_argument("--seeds", default="1,2,3", help="of the arms that matter most")
    parser.add_argument("--wide", default="1", help="seeds of all other arms")
    parser.add_argument("--only", default="", help="a pattern of the arms' names; the others are not run")
    parser.add_argument("--report", action="store_true", help="write the page from what there is then")
    options = parser.parse_args()
    bench = Bench(options)
    bench.stream()
    seeds, wide = ([int(seed) for seed in text.split(",") if seed] for text in (options.seeds, options.wide))
    chosen = re.compile(options.only)
    for seed in seeds:
        for arm, words in CORE.items():
            if chosen.search(arm):
                bench.chain(seed, arm, words)
    for seed in wide:
        for arm, words in WIDE.items():
            if chosen.search(arm):
                bench.chain(seed, arm, words)
        if chosen.search("trained anew"):
            bench.retrained(seed)
    for seed in seeds:
        for arm, words in SCRATCH.items():
            if chosen.search(f"office, {arm}"):
                bench.scratch(seed, arm, words)
    if options.report:
        write(bench, options)


if __name__ == "__main__":
    main()
