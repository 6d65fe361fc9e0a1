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

import lists as serving
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
    "twice the learning rate": ["--learning-rate", "0.006"],
    "eight passes": ["--epochs", "8"],
    "no replay": ["--replay", "0"],
    "anchor 10": ["--anchor", "10"],
    "divergence 100 (PESO)": ["--divergence", "100"],
    "divergence 1000 (PESO)": ["--divergence", "1000"],
    "heads too": ["--head"],
}
OPTIONS = [arm for arm in WIDE if not arm.startswith("transitions")]
WIDE |= {f"{teacher}, {alpha}": aligned(teacher, alpha)
         for teacher in ("popularity", "rules", "item-knn", "sasrec", "ease", "als") for alpha in ALPHAS}
# A first refresh has no adapter before it to diverge from.
ONCE = {arm: words for arm, words in (CORE | WIDE).items() if words is not None and "divergence" not in arm}
# Name -> options of `millrace train` on Office.
SCRATCH = {"plain labels": []}
SCRATCH |= {f"transitions, {alpha}": aligned("transitions", alpha) for alpha in ALPHAS}
SCRATCH |= {
    "transitions, 0.6 by evidence": aligned("transitions", 0.6, "--evidence-half", "10"),
    "transitions, 0.1, published loss": aligned(
        "transitions", 0.1, "--evidence-half", "0", "--loss", "log-of-expectation"),
}
JUDGED = re.compile(r"candidate HR@10 ([0-9.]+), NDCG@10 ([0-9.]+)")
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

    def once(self, seed, arm, options):
        """One refresh from the base, by the first tenth after it, judged on the whole tenth that follows."""
        share, output = BASE + 2 * STEP, self.path("once", arm, seed)
        words = ["refresh", "--model", self.base(seed), "--data", self.path("until", share), "--known-until",
                 self.times[BASE], "--gate-share", "0.5", "--output", output, "--status", output + ".status", "--seed",
                 seed, "--niceness", 0, *options]

        def run():
            _, seconds = self.call(*words, codes=(0, 3))
            with open(output + ".status") as file:
                found = JUDGED.search(json.load(file)["reason"])
            note(f"once, {arm}, {seed}: {found[0]}, {seconds:.1f} CPU s")
            return {"lm": [float(found[1]), float(found[2])], "seconds": seconds}
        return self.kept(f"once {arm} {seed}", run)

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


# The page


def mean(values):
    return statistics.fmean(values)


def number(value, sign=False):
    text = f"{value:+.4f}" if sign else f"{value:.4f}"
    return text.replace("0.", ".", 1)


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


class Page:
    """What is in the work folder, as text and charts."""

    METRICS = (("HR@10", 0), ("NDCG@10", 1))

    def __init__(self, bench, seeds):
        self.bench, self.seeds = bench, seeds
        self.shares = list(range(BASE + STEP, 100, STEP))
        self.chains = {}
        for arm in [*CORE, *WIDE, "trained anew"]:
            for seed in seeds:
                found = [self.outcome(arm, seed, share) for share in self.shares]
                if all(found):
                    self.chains.setdefault(arm, {})[seed] = found

    def load(self, name):
        try:
            with open(self.bench.path(name) + ".json") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def outcome(self, arm, seed, share):
        scores = self.load(f"{'anew' if arm == 'trained anew' else arm} {seed} {share} score")
        return scores and {**scores, "refresh": self.load(f"{arm} {seed} {share} refresh")}

    def over_time(self, arm, metric):
        """The mean over seeds, tenth by tenth."""
        chains = self.chains[arm].values()
        return [mean([chain[place]["lm"][metric] for chain in chains]) for place in range(len(self.shares))]

    def level(self, arm, seed, metric):
        return mean([found["lm"][metric] for found in self.chains[arm][seed]])

    def against(self, arm, other, metric):
        """Differences of the means over all tenths, seed by seed."""
        return [self.level(arm, seed, metric) - self.level(other, seed, metric)
                for seed in self.chains[arm] if seed in self.chains[other]]

    def main_arms(self):
        taught = [arm for arm in self.chains if arm in WIDE or arm.startswith("transitions")]
        best = max((arm for arm in taught if arm not in OPTIONS), default=None,
                   key=lambda arm: mean(self.against(arm, "plain labels", 1)))
        wanted = ["no refresh", "plain labels", "transitions, 0.1", best, "trained anew"]
        return [arm for arm in dict.fromkeys(wanted) if arm in self.chains]

    def shown(self, arm):
        """Its name, with the number of its seeds where they are fewer than those of plain labels."""
        count = len(self.chains[arm])
        return arm if count == len(self.chains["plain labels"]) else f"{arm} ({count} seed{'s' * (count > 1)})"

    def stream(self, out):
        arms = self.main_arms()
        for metric, place in self.METRICS:
            series = [(self.shown(arm), [(share, value) for share, value in zip(self.shares, self.over_time(arm, place))])
                      for arm in arms]
            with open(os.path.join(out, f"refreshes-{slug(metric.split('@')[0])}.svg"), "w") as file:
                file.write(lines(f"{metric} of the next tenth of the stream", "% of the stream seen", metric, series))
        rows = [(arm, [self.level(arm, seed, 1) for seed in chains])
                for arm, chains in self.chains.items() if arm != "no refresh"]
        with open(os.path.join(out, "refreshes-arms.svg"), "w") as file:
            file.write(dots("NDCG@10 over the stream, one dot a seed", rows, left=250))
        text = ["## Over time", "",
                f"Mean of {len(self.chains['plain labels'])} seeds unless said otherwise (differences of arms with other "
                "seeds: see below). HR@10 / NDCG@10 of the tenth that follows.",
                "", row("seen", *map(self.shown, arms)), row(*["---"] * (1 + len(arms)))]
        for place, share in enumerate(self.shares):
            text.append(row(f"{share} %", *(
                " / ".join(number(self.over_time(arm, metric)[place]) for _, metric in self.METRICS) for arm in arms)))
        text.append(row("all", *(" / ".join(number(mean(self.over_time(arm, metric))) for _, metric in self.METRICS)
                                 for arm in arms)))
        text += ["", "![NDCG@10 over the stream](refreshes-ndcg.svg)", "", "![HR@10 over the stream](refreshes-hr.svg)"]
        text += ["", "## Every arm against plain labels", "",
                 "Means over the seven tenths; differences are paired by seed, in their order. Passed: refreshes that the "
                 "gate let through. CPU: of a refresh, all of the command.", "",
                 row("arm", "seeds", "HR@10", "NDCG@10", "HR@10 against plain", "NDCG@10 against plain",
                     "each seed's NDCG@10 against plain", "passed", "CPU s"), row(*["---"] * 9)]
        for arm, chains in self.chains.items():
            differences = [self.against(arm, "plain labels", place) for _, place in self.METRICS]
            refreshes = [found["refresh"] for chain in chains.values() for found in chain if found["refresh"]]
            against = ["", "", ""] if arm == "plain labels" else [
                number(mean(differences[0]), True), number(mean(differences[1]), True),
                ", ".join(number(value, True) for value in differences[1])]
            passed = f"{sum(refresh['passed'] for refresh in refreshes)} of {len(refreshes)}" if refreshes else ""
            seconds = f"{mean([refresh['seconds'] for refresh in refreshes]):.1f}" if refreshes else ""
            if arm == "trained anew":
                seconds = f"{mean([found['seconds'] for chain in chains.values() for found in chain]):.0f}"
            text.append(row(arm, len(chains), *(number(mean([self.level(arm, seed, place) for seed in chains]))
                                                for _, place in self.METRICS), *against, passed, seconds))
        popular = [mean([found["popularity"][place] for found in self.chains["no refresh"][self.seeds[0]]])
                   for _, place in self.METRICS]
        return text + ["", "![NDCG@10 of every arm](refreshes-arms.svg)", "",
                       f"Decayed popularity alone, on the same events: {number(popular[0])} / {number(popular[1])}. "
                       "The model is one source of the lists, which the combiner mixes ([combiner.md](../combiner.md))."]

    def once(self):
        found = {arm: {seed: kept for seed in self.seeds if (kept := self.load(f"once {arm} {seed}"))}
                 for arm in ONCE}
        plain = found["plain labels"]
        text = ["", "## One refresh", "",
                f"From the base, by the tenth after it; judged on all events of the tenth that follows, whose histories go "
                "on. All items ranked, those of the history too.", "",
                row("arm", "seeds", "HR@10", "NDCG@10", "NDCG@10 against plain", "each seed's", "CPU s"),
                row(*["---"] * 7)]
        for arm, seeds in found.items():
            differences = [kept["lm"][1] - plain[seed]["lm"][1] for seed, kept in seeds.items() if seed in plain]
            if not differences:
                continue
            against = ["", ""] if arm == "plain labels" else [
                number(mean(differences), True), ", ".join(number(value, True) for value in differences)]
            text.append(row(arm, len(seeds), *(number(mean([kept["lm"][place] for kept in seeds.values()]))
                                               for _, place in self.METRICS), *against,
                            f"{mean([kept['seconds'] for kept in seeds.values()]):.1f}"))
        return text if plain else []

    def office(self):
        found = {arm: {seed: kept for seed in self.seeds if (kept := self.load(f"office {arm} {seed}"))}
                 for arm in SCRATCH}
        plain = found["plain labels"]
        if not plain:
            return []
        text = ["", "## From scratch, on Office", "",
                "`millrace train` on all training rows, soft labels on the item head; the teacher counts what other users "
                "did next in the training rows (the row's own user left out). Test rows, all items ranked.", "",
                row("labels", "seeds", "HR@10", "NDCG@10", "HR@10 against plain", "NDCG@10 against plain",
                    "each seed's NDCG@10", "never seen HR@10", "CPU s"), row(*["---"] * 9)]
        for arm, seeds in found.items():
            if not seeds:
                continue
            differences = [[kept["parts"]["all"][place] - plain[seed]["parts"]["all"][place]
                            for seed, kept in seeds.items() if seed in plain] for _, place in self.METRICS]
            against = ["", "", ""] if arm == "plain labels" else [
                number(mean(differences[0]), True), number(mean(differences[1]), True),
                ", ".join(number(value, True) for value in differences[1])]
            levels = [number(mean([kept["parts"]["all"][place] for kept in seeds.values()])) for _, place in self.METRICS]
            text.append(row(arm, len(seeds), *levels, *against,
                            number(mean([kept["parts"]["never seen"][0] for kept in seeds.values()])),
                            f"{mean([kept['seconds'] for kept in seeds.values()]):.0f}"))
        return text

    def serving(self):
        found = self.load("serving")
        if not found:
            return []
        text = ["", "## Serving meanwhile", "",
                f"`REC.GET MODE lm` at a steady {found['rate']}/s on 8 connections of a daemon that holds the whole log, "
                "no list cached; waits count from when a request was due. Idle and refreshing in turn, "
                f"{len(found['seconds'])} times; each refresh learns {found['learnt']:,} events in a process at niceness "
                f"19 ({', '.join(f'{value:.0f}' for value in found['seconds'])} s, {', '.join(found['results'])}).".replace(
                    ",000", " 000"),
                "", row("", "requests", "p50, ms", "p99, ms"), row(*["---"] * 4)]
        for name, part in (("idle", "idle"), ("during a refresh", "busy")):
            spread = found[part]
            text.append(row(name, spread["count"], f"{spread['p50']:.2f}", f"{spread['p99']:.2f}"))
        return text


def write(bench, options):
    seeds = sorted({int(seed) for text in (options.seeds, options.wide) for seed in text.split(",") if seed})
    page = Page(bench, seeds)
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    text = ["# What refreshes are worth", "",
            "Written by `make bench-refresh`; change nothing here by hand. What follows from it: "
            "[refresh.md](../refresh.md).", "",
            f"MovieTweetings, {os.cpu_count()} x {cpu}. A base is trained on the oldest {BASE} % of the stream. Each further "
            f"tenth is scored first (every second event, by the state just before it, all items ranked, seen ones left "
            "out), then `millrace refresh` learns it, going on from the adapter that serves; its newest tenth is the "
            "gate's. \"No refresh\": the base serves all the time, and histories go on. \"Trained anew\": `millrace train` "
            "on all that was seen, before every tenth. A number after a teacher is alpha, the same everywhere unless it "
            "says by evidence.", ""]
    text += page.stream(options.out) + page.once() + page.office() + page.serving()
    with open(os.path.join(options.out, "refreshes.md"), "w") as file:
        file.write("\n".join(text) + "\n")


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
    for seed in seeds:
        for arm, words in ONCE.items():
            if chosen.search(f"once, {arm}"):
                bench.once(seed, arm, words)
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
    if chosen.search("serving"):
        bench.kept("serving", lambda: serving.refresh_beside_serving(
            options.program, os.path.join(options.data, "movietweetings")))
    if options.report:
        write(bench, options)


if __name__ == "__main__":
    main()
