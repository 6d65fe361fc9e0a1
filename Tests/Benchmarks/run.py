#!/usr/bin/env python3
"""`make bench`: how fast, how small, how it grows, as ratios against real programs in the same run.

Writes docs/benchmarks/. Needs redis-server, redis-benchmark and kcat.
"""

import argparse
import datetime
import os
import subprocess
import sys
import time

import charts
import loads
import measures
from stage import Stage, redis_benchmark

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
SMALL_CACHE = 50_000


def note(text):
    print(text, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="millrace, built for release")
    parser.add_argument("--users", type=int, default=1_000_000, help="users of P10 and P11")
    parser.add_argument("--seconds", type=int, default=15, help="of P2")
    parser.add_argument("--only", default="P1,P2,P3,P4,P10,P11", help="a comma-separated choice")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs/benchmarks"))
    return parser.parse_args()


class Report:
    def __init__(self, out):
        self.out, self.rows, self.pictures = out, [], []
        os.makedirs(out, exist_ok=True)

    def row(self, number, what, against, figure, goal, reached):
        verdict = "not set" if reached is None else "yes" if reached is True else (
            "no" if reached is False else f"no: {reached}")
        self.rows.append((number, what, against, figure, goal, verdict))
        note(f"{number}: {what}: {figure} (against {against}); goal {goal}: {verdict}")

    def chart(self, name, svg, caption):
        with open(os.path.join(self.out, name + ".svg"), "w") as file:
            file.write(svg)
        self.pictures.append((name, caption))

    def write(self, command, chosen):
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                    if line.startswith("model name")), "unknown")
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                                capture_output=True, text=True).stdout.strip()
        redis = subprocess.run(["redis-server", "--version"], capture_output=True,
                               text=True).stdout.split()[2]
        lines = [
            "# How fast, how small, how it grows", "",
            "Every figure stands beside something real, measured in the same run on the same "
            "machine: ratios carry over to other machines, absolute numbers do not. Written by "
            f"`{command}`; change nothing here by hand.", "",
            f"{datetime.date.today()}, commit {commit}; {os.cpu_count()} x {cpu}, shared by broker, "
            f"Redis {redis.removeprefix('v=')}, daemon and load generator; Linux "
            f"{os.uname().release}. The broker is `millrace broker` (librdkafka's mock cluster).",
            "", "| # | what | against | measured | goal | reached |",
            "| --- | --- | --- | --- | --- | --- |"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        missing = sorted(chosen - {row[0] for row in self.rows})
        if missing:
            lines += ["", f"Not measured: the run ended before {', '.join(missing)}."]
        for name, caption in self.pictures:
            lines += ["", f"![{caption}]({name}.svg)"]
        with open(os.path.join(self.out, "README.md"), "w") as file:
            file.write("\n".join(lines) + "\n")


def streamed(report, binary, chosen, seconds):
    """P1 to P3: one log, one broker."""
    with Stage(binary) as stage:
        loads.simulated(binary, stage.path("sim"), 50_000, 10_000, 400_000)
        log = loads.keyed(stage.path("sim"), stage.path("log"))
        stage.produce("items", stage.path("log.items"))
        stage.produce("interactions", stage.path("log.events"))
        note(f"{log['events']} events of {log['bytes']:.0f} bytes with key, {log['users']} users, "
             f"{log['items']} items")
        if "P1" in chosen:
            ingest(report, stage, log)
    if not chosen & {"P2", "P3", "P4"}:
        return
    with Stage(binary) as stage:
        recorded = loads.find_recorded(ROOT)
        if recorded is None:
            loads.simulated(binary, stage.path("sim"), 20_000, 10_000, 200_000)
        log = loads.keyed(recorded or stage.path("sim"), stage.path("log"))
        source = "MovieTweetings" if recorded else "simulated"
        stage.produce("items", stage.path("log.items"))
        stage.produce("interactions", stage.path("log.events"))
        stage.start_daemon()
        stage.wait_committed(log["events"])
        if "P3" in chosen:
            serving(report, stage, log, source)
        if "P2" in chosen:
            freshness(report, stage, seconds)
        if "P4" in chosen:
            model(report, stage, log, recorded or stage.path("sim"), source)


def model(report, stage, log, folder, source):
    stage.stop_daemon()
    path = stage.path("model")
    subprocess.run([stage.binary, "train", "--data", folder, "--out", path, "--epochs", "2"],
                   check=True, capture_output=True)
    stage.start_daemon(f"serving: {{staleness: 0s, cache-max: 0B}}\nmodel: {{folder: {path}}}\n")
    stage.wait_committed(log["events"])
    figure = measures.model_serving(stage, log["users"], 50_000)
    report.row("P4", f"REC.GET MODE lm, item head over {log['items']} items ({source}), 16 "
               f"connections, {log['users']} users at random", "absolute",
               f"{figure['rps']:,.0f}/s, p50 {figure['p50']:.3f} ms, p99 {figure['p99']:.3f} ms",
               "p50 <= 10 ms, p99 <= 25 ms", figure["p50"] <= 10 and figure["p99"] <= 25)
    client = stage.client()
    user = loads.user_name(1)
    fields = client.ask("USER.GET", user)
    events = dict(zip(fields[::2], fields[1::2]))[b"history"]
    history = [event[0].decode() for event in events]
    begin = time.monotonic()
    for _ in range(200):
        served = [item.decode() for item in client.ask("REC.GET", user, "COUNT", "10", "MODE", "lm")]
    ours = 5 * (time.monotonic() - begin)
    client.close()
    theirs = measures.recomputed(path, f"{folder}/items.jsonl", history)
    if theirs is None:
        return note("P4: no Python with torch, safetensors and tokenizers: not compared")
    best = [item for item in theirs[1] if item not in history]
    same = served[:len(best)] == best
    report.row("P4", "the same, one user, one connection", f"the same weights from scratch in PyTorch ({theirs[0]:.0f} ms)",
               f"{ours:.3f} ms = {theirs[0] / ours:,.0f} x, {'the same list' if same else 'ANOTHER LIST'}",
               ">= 10 x", same and theirs[0] >= 10 * ours)


def refreshing(report, binary):
    """P4 while a refresh of the model runs."""
    recorded = loads.find_recorded(ROOT)
    found = measures.refresh_beside_serving(binary, recorded)
    idle, busy = found["idle"], found["busy"]
    report.row("P4", f"the same at a steady {found['rate']}/s on 8 connections while the model is refreshed beside it "
               f"({found['learnt']:,} events, {measures.median(found['seconds']):.0f} s each of "
               f"{len(found['seconds'])})", f"without (p50 {idle['p50']:.2f} ms, p99 {idle['p99']:.2f} ms)",
               f"p50 {busy['p50']:.2f} ms, p99 {busy['p99']:.2f} ms", "p99 <= 25 ms", busy["p99"] <= 25)


def ingest(report, stage, log):
    bare = measures.median([measures.bare_consumer(stage, log["events"]) for _ in range(3)])
    size = round(log["bytes"])
    pipelined = measures.median([
        redis_benchmark(stage.redis_path, ["-d", str(size), "-t", "set"], 1_000_000, pipeline=64,
                        keyspace=log["users"])["rps"] for _ in range(3)])
    middle = measures.middle_ingest(stage, log, 3)
    rate, slower = middle["rate"], min(bare, pipelined)
    report.row("P1", f"ingest, {log['events']} events of {size} B, exactly once in Redis",
               "absolute", f"{rate:,.0f} events/s, {middle['cpu_us']:.1f} us of CPU each",
               ">= 50 000 events/s", rate >= 50_000)
    report.row("P1", "the same", "the slower of a bare consumer "
               f"({bare:,.0f}/s, kcat) and redis-benchmark SET -P 64 ({pipelined:,.0f}/s)",
               f"{rate / slower:.2f} x", ">= 0.5 x", rate >= 0.5 * slower)
    report.chart("ingest", charts.bars(
        "Ingest beside its two hops", "/s",
        [("Kafka record to durable commit", rate, True), ("kcat only counts records", bare, False),
         ("redis-benchmark SET -P 64", pipelined, False)]), "Ingest")
    threads = sorted(middle["threads"].items(), key=lambda thread: -thread[1])
    report.chart("ingest-threads", charts.bars(
        "Where the time goes: CPU of the daemon's threads an event", "us",
        [(name, spent, name == "engine") for name, spent in threads if spent >= .05]),
        "CPU an event by thread: the engine folds and counts, kafka-source decodes, "
        "NIO answers the benchmark's polling")
    points = []
    for size in (100, 300, 1_000, 3_000):
        run = measures.middle_ingest(stage, log, 1, kafka=f"batch-records: {size}")
        points.append((size, run["rate"]))
    report.chart("ingest-batch", charts.line(
        "Ingest by records a batch", "kafka.batch-records", "events/s", points,
        (50_000, "goal")), "Ingest by batch size")


def serving(report, stage, log, source):
    result = measures.serving(stage, log["users"], 100_000)
    stage.stop_daemon()
    stage.start_daemon("serving: {staleness: 0s, cache-max: 0B}\n")
    stage.wait_committed(log["events"])
    fresh = measures.serving(stage, log["users"], 50_000)
    get = result["get"]["rps"]
    same, many, none = result["same"], result["many"], fresh["many"]
    report.row("P3", f"REC.GET MODE cf, {log['items']} items ({source}), 16 connections, one user "
               "who does not change", f"redis-benchmark GET ({get:,.0f}/s)",
               f"{same['rps']:,.0f}/s = {same['rps'] / get:.2f} x, p50 {same['p50']:.3f} ms, "
               f"p99 {same['p99']:.3f} ms", ">= 0.7 x, p99 <= 1 ms",
               same["rps"] >= 0.7 * get and same["p99"] <= 1)
    report.row("P3", f"the same, {log['users']} users at random, no cache",
               f"redis-benchmark GET ({get:,.0f}/s)",
               f"{none['rps']:,.0f}/s = {none['rps'] / get:.2f} x, p50 {none['p50']:.3f} ms, "
               f"p99 {none['p99']:.3f} ms", ">= 0.25 x, p99 <= 1 ms",
               none["rps"] >= 0.25 * get and none["p99"] <= 1)
    report.chart("serving", charts.bars(
        "REC.GET MODE cf, 16 connections, unpipelined", "/s",
        [("one user, cached", same["rps"], True),
         ("many users, default cache", many["rps"], True),
         ("many users, no cache", none["rps"], True),
         ("PING on the same socket", result["ping"]["rps"], False),
         ("redis-benchmark GET on Redis", get, False)]), "Recommendations a second")
    client = stage.client()
    items = [line.split("\t", 1)[0] for line in open(stage.path("log.items"))][:600]
    points = measures.by_history(stage, client, [1, 4, 16, 64, 128, 256, 512], items, 2_000)
    report.chart("serving-history", charts.line(
        "REC.GET MODE cf by length of history (uncached, one connection)",
        "items in the history (bound: 512)", "p50, ms", [(n, p50) for n, p50, _ in points]),
        "Latency by length of history")
    stage.stop_daemon()
    stage.start_daemon()


def freshness(report, stage, seconds):
    alone = measures.hops(stage)
    users = [loads.user_name(number) for number in range(1_000)]
    result = measures.freshness(stage, users, 1_000, seconds)
    both = alone["kafka"]["p50"] + alone["redis"]["p50"]
    report.row("P2", f"freshness: EVENT.ADD to changed feed read, 1 000 feeds, "
               f"{result['rate']:,.0f} events/s, {result['count']} of {result['sent']} judged (the first second warms up)",
               "absolute", f"p50 {result['p50']:.1f} ms, p99 {result['p99']:.1f} ms "
               f"(EVENT.ADD's reply: p50 {result['add']['p50']:.1f} ms)", "p99 <= 50 ms",
               result["p99"] <= 50)
    report.row("P2", "the same", f"produce to consume (kcat, p50 {alone['kafka']['p50']:.1f} ms) "
               f"and SET to GET (p50 {alone['redis']['p50']:.2f} ms)",
               f"p50 {result['p50'] / both:.1f} x", "<= 3 x", result["p50"] <= 3 * both)
    report.chart("freshness", charts.bars(
        "From event to changed feed, 1 000 events/s", "ms",
        [("p99", result["p99"], True), ("p50", result["p50"], True),
         ("produce to consume alone, p50", alone["kafka"]["p50"], False),
         ("SET to GET alone, p50", alone["redis"]["p50"], False)]), "Freshness")


def crowd(report, binary, users):
    """P10 and P11: more users than the cache holds."""
    settings = f"engine: {{users-cached-max: {SMALL_CACHE}}}\n"
    with Stage(binary) as stage:
        loads.simulated(binary, stage.path("sim"), 100, 10_000, 1_000)
        loads.keyed(stage.path("sim"), stage.path("log"))
        stage.produce("items", stage.path("log.items"))
        stage.start_daemon(settings)
        filled = measures.fill(stage, users, 10_000, 2.0, note)
        size = measures.memory(stage)
        history = filled["events"] / size["users"]
        allowed = 512 + 8 * history
        report.row("P11", f"memory a user in Redis, {size['users']:,} users, "
                   f"{history:.1f} events each", "absolute",
                   f"{size['user']:.0f} B (state {size['blobs']:.0f} B)",
                   f"<= 512 B + 8 B an entry = {allowed:.0f} B", size["user"] <= allowed)
        report.row("P11", f"memory an item in Redis, {size['items']:,} items", "absolute",
                   f"{size['item']:.0f} B", "<= 2 048 B", size["item"] <= 2_048)
        rss = filled["rss"]
        _, full, pairs = next(sample for sample in rss if sample[0] >= 2 * SMALL_CACHE)
        report.row("P11", f"resident set, cache of {SMALL_CACHE:,} users, from "
                   f"{2 * SMALL_CACHE:,} to {rss[-1][0]:,} users served", "absolute",
                   f"{full / 2**20:.0f} -> {rss[-1][1] / 2**20:.0f} MiB, rule pairs {pairs:,} -> "
                   f"{rss[-1][2]:,}", "flat (<= 1.2 x)",
                   rss[-1][1] <= 1.2 * full)
        report.chart("memory", charts.line(
            f"Resident set, cache of {SMALL_CACHE:,} users", "users served", "MiB",
            [(seen, value / 2**20) for seen, value, _ in rss]), "Resident set")
        result = measures.recovery(stage, settings)
        same = "same digest" if result["same_digest"] else "another digest"
        report.row("P10", f"recovery after kill -9, {size['users']:,} users in Redis",
                   f"redis-server loading the same data ({result['redis']:.2f} s, "
                   f"{result['dump'] / 2**20:.0f} MiB)",
                   f"READY after {result['ready']:.2f} s, its partitions again after "
                   f"{result['owning']:.1f} s (the group's session timeout of 6 s and the join), "
                   f"{result['replayed']} events replayed, "
                   f"{same}", "<= 2 s, nothing twice",
                   result["ready"] <= 2 and result["replayed"] == 0 and result["same_digest"])


def main():
    options = parse()
    chosen = set(options.only.split(","))
    report = Report(options.out)
    binary = os.path.abspath(options.binary)
    try:
        if chosen & {"P10", "P11"}:
            crowd(report, binary, options.users)
        if chosen & {"P1", "P2", "P3", "P4"}:
            streamed(report, binary, chosen, options.seconds)
        if "P4" in chosen:
            refreshing(report, binary)
    finally:
        report.rows.sort(key=lambda row: int(row[0][1:]))
        flags = " ".join(sys.argv[2:])
        report.write("make bench" + (f" BENCH_FLAGS='{flags}'" if flags else ""), chosen)


if __name__ == "__main__":
    sys.exit(main())
