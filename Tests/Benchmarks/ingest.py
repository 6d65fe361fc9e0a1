"""P1, ingest: Kafka record to durable commit, beside a consumer that only counts and Redis' own SET; and P12, the same
log by one instance and by two."""

import collections
import contextlib
import os
import subprocess
import time

import charts
import loads
from resp import committed, named
from stage import Stage, median, redis_benchmark, wait_for

# Events of a log by which lessons are as far apart as mixture.learn-interval says.
YOUNG = 64_000


def ingest(run, part):
    with Stage(run.binary) as stage:
        log = produced(run, stage, 50_000, 400_000)
        bare = median([bare_consumer(stage, log["events"]) for _ in range(3)])
        size = round(log["bytes"])
        pipelined = median([
            redis_benchmark(stage.redis_path, ["-d", str(size), "-t", "set"], 1_000_000, pipeline=64,
                            keyspace=log["users"])["rps"] for _ in range(3)])
        middle = middle_ingest(stage, log, 3)
        batches = [(records, middle_ingest(stage, log, 1, f"batch-records: {records}")["rate"])
                   for records in (100, 300, 1_000, 3_000)]
        allocations = allocated(stage, log)
    rate, slower = middle["rate"], min(bare, pipelined)
    part.row(f"ingest, {log['events']:,} events of {size} B by {log['users']:,} users, exactly once in Redis", "absolute",
             f"{rate:,.0f} events/s after the first {YOUNG:,}, which the combiner learns from densely "
             f"({middle['whole']:,.0f} with them), {middle['cpu_us']:.1f} us of CPU each", ">= 50 000 events/s", rate >= 50_000)
    part.row("the same", f"the slower of a bare consumer ({bare:,.0f}/s, kcat) and redis-benchmark SET -P 64 "
             f"({pipelined:,.0f}/s)", f"{rate / slower:.2f} x", ">= 0.5 x", rate >= 0.5 * slower)
    part.row("calls of malloc and its kin on the engine's lane, second half of the log", "absolute",
             f"{allocations:.1f} an event", "none", allocations < 0.005)
    part.chart("ingest", charts.bars(
        "Ingest beside its two hops", "/s",
        [("Kafka record to durable commit", rate, True), ("kcat only counts records", bare, False),
         ("redis-benchmark SET -P 64", pipelined, False)]), "ingest beside its two hops alone")
    threads = sorted(middle["threads"].items(), key=lambda thread: -thread[1])
    part.chart("ingest-threads", charts.bars(
        "CPU of the daemon's threads, us an event", "us",
        [(name, spent, name == "engine") for name, spent in threads if spent >= .05]),
        "CPU an event by thread: the engine folds and counts, kafka-source decodes, NIO answers the benchmark's polling")
    part.chart("ingest-batch", charts.curves(
        "Ingest by records a batch", "kafka.batch-records", "events/s", [("events/s", batches)]),
        "ingest by batch size")
    part.chart("ingest-users", charts.curves(
        "Ingest by users of the log (200 000 events)", "users", "events/s", [("events/s", by_users(run))]),
        "ingest by the number of users among 200 000 events; 200 000 users fill the cache")


def by_users(run):
    points = []
    for users in (1_000, 10_000, 50_000, 200_000) + ((1_000_000,) if run.large else ()):
        with Stage(run.binary) as stage:
            log = produced(run, stage, users, 200_000)
            points.append((users, middle_ingest(stage, log, 1)["rate"]))
            run.note(f"P1: {users:,} users: {points[-1][1]:,.0f} events/s")
    return points


def produced(run, stage, users, events):
    """A simulated log in the topics of a stage."""
    loads.simulated(run.binary, stage.path("sim"), users, 10_000, events)
    log = loads.keyed(stage.path("sim"), stage.path("log"))
    stage.produce("items", stage.path("log.items"))
    stage.produce("interactions", stage.path("log.events"))
    return log


def bare_consumer(stage, events):
    """Records a second of a consumer that only counts: kcat writes one byte a record."""
    consumer = stage.kcat("-C", "-t", "interactions", "-o", "beginning", "-e", "-q", "-f", ".",
                          "-X", "fetch.wait.max.ms=1", stdout=subprocess.PIPE)
    seen, first = 0, None
    while seen < events:
        data = consumer.stdout.read1(1 << 16)
        if not data:
            break
        first = first or (time.monotonic(), len(data))
        seen += len(data)
    seconds = time.monotonic() - first[0]
    consumer.wait()
    return (seen - first[1]) / seconds


def middle_ingest(stage, log, repeats, kafka=""):
    """Each repetition ingests the same topic into an empty Redis; the middle one counts."""
    runs = []
    for _ in range(repeats):
        stage.redis().ask("FLUSHALL")
        runs.append(once(stage, log, kafka))
        stage.stop_daemon()
    return sorted(runs, key=lambda run: run["rate"])[len(runs) // 2]


def once(stage, log, kafka=""):
    """The preloaded topic, from the first commit seen behind the young part of the log to the last."""
    stage.start_daemon(kafka=kafka, wait="nothing")
    client = wait_for("the socket is there", lambda: try_client(stage), interval=0.005)
    samples = []
    while True:
        count = committed(client.info())
        samples.append((time.monotonic(), count, stage.daemon_seconds()))
        if count >= log["events"]:
            break
        time.sleep(0.005)
    client.close()
    first = next(s for s in samples if s[1] > 0)
    begin = next(s for s in samples if s[1] >= YOUNG) if log["events"] >= 2 * YOUNG else first
    before = [s for s in samples if s[1] == 0]
    end = samples[-1]
    threads = {name: 1e6 * seconds / log["events"]
               for name, seconds in stage.daemon_thread_seconds().items()}
    return {"threads": threads, "rate": (end[1] - begin[1]) / (end[0] - begin[0]),
            "whole": (end[1] - first[1]) / (end[0] - first[0]),
            "cpu_us": 1e6 * (end[2] - (before[-1] if before else first)[2]) / log["events"]}


def allocated(stage, log):
    """Allocations an event on the engine's lane, counted in a run of its own once half of the log is in."""
    library, counts = stage.path("allocations.so"), stage.path("allocations")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "allocations.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    stage.redis().ask("FLUSHALL")
    stage.start_daemon(wait="nothing", LD_PRELOAD=library, MILLRACE_ALLOCATIONS=counts)
    samples = []
    client = wait_for("the socket is there", lambda: try_client(stage), interval=0.005)
    for share in (0.5, 1):
        wait_for("events are durable", lambda: committed(client.info()) >= share * log["events"])
        with open(counts, "rb") as file:
            samples.append((committed(client.info()), int.from_bytes(file.read(8), "little")))
    client.close()
    stage.stop_daemon()
    (before, first), (after, last) = samples
    return (last - first) / (after - before)


def try_client(stage):
    try:
        return stage.client()
    except OSError:
        return None


# P12

SHARED_PARTITIONS = 4


def scaling(run, part):
    alone, two = (middle_scaled(run, instances) for instances in (1, 2))
    part.chart("instances", charts.bars(
        "CPU of the threads of all instances, us an event", "us",
        [(f"{name}, {instances}", found["threads"][name], instances == "2 instances")
         for name in sorted(two["threads"], key=lambda name: -two["threads"][name]) if two["threads"][name] >= 0.2
         for instances, found in (("2 instances", two), ("1 instance", alone)) if name in found["threads"]]),
        "CPU an event by thread, one instance and two: every instance applies the counts of all partitions")
    same = alone["digest"] == two["digest"]
    faster, dearer = two["rate"] / alone["rate"], two["cpu_us"] / alone["cpu_us"]
    part.row(f"2 instances on 2 partitions each, {alone['events']:,} events, on these two cores with broker and Redis",
             f"1 instance on 4 partitions ({alone['rate']:,.0f}/s, {alone['cpu_us']:.1f} us of CPU an event)",
             f"{'same digest' if same else 'ANOTHER DIGEST'}, {two['rate']:,.0f}/s = {faster:.2f} x, "
             f"{two['cpu_us']:.1f} us = {dearer:.2f} x",
             "same digest; >= 1.6 x, or CPU an event within 10 %", same and (faster >= 1.6 or dearer <= 1.1))


def middle_scaled(run, instances, repeats=3):
    runs = [scaled(run, instances) for _ in range(repeats)]
    if any(found["digest"] != runs[0]["digest"] for found in runs):
        raise RuntimeError(f"{instances} instances do not repeat their digest")
    return sorted(runs, key=lambda found: found["cpu_us"])[repeats // 2]


def scaled(run, instances):
    """One log into instances that own their shares of the partitions before it begins."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Stage(run.binary, SHARED_PARTITIONS))
        stages = [first] + [stack.enter_context(Stage(run.binary, SHARED_PARTITIONS, beside=first))
                            for _ in range(1, instances)]
        loads.simulated(run.binary, first.path("sim"), 20_000, 5_000, 150_000)
        log = loads.keyed(first.path("sim"), first.path("log"))
        first.produce("items", first.path("log.items"))
        for stage in stages:
            stage.start_daemon(wait="nothing")
        share = str(SHARED_PARTITIONS // instances)
        wait_for("the partitions are shared out", lambda: all(
            info and info.get("partitions_owned") == share and int(info["items"]) >= log["items"]
            for info in [stage.try_info() for stage in stages]))
        clients = [stage.client() for stage in stages]
        before = spent(stages)
        first.produce("interactions", first.path("log.events"))
        samples = []
        while not samples or samples[-1][1] < log["events"]:
            samples.append((time.monotonic(), sum(committed(client.info()) for client in clients)))
            time.sleep(0.01)
        after = spent(stages)
        threads = {name: 1e6 * (after[name] - before.get(name, 0)) / log["events"] for name in after}
        begin = next(sample for sample in samples if sample[1] > 0)
        digest = wait_for("all instances have the same statistics", lambda: agreed(clients))
        return {"events": log["events"], "rate": (samples[-1][1] - begin[1]) / (samples[-1][0] - begin[0]),
                "cpu_us": sum(threads.values()), "threads": threads, "digest": digest}


def spent(stages):
    """CPU seconds of all daemons, by the name of the thread."""
    total = collections.Counter()
    for stage in stages:
        total.update(stage.daemon_thread_seconds())
    return total


def agreed(clients):
    """The statistics that every instance holds, and the digest of each partition by its owner; None while they differ."""
    replies = [named(client.patiently("DIGEST")) for client in clients]
    if len({reply[b"statistics"] for reply in replies}) > 1:
        return None
    partitions = [named(partition) for reply in replies for partition in reply[b"partitions"]]
    return replies[0][b"statistics"], sorted(
        (partition[b"partition"], partition[b"digest"], partition[b"users"]) for partition in partitions)
