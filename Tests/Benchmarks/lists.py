"""P3, lists of the collaborative sources, beside GET of a Redis; and P4, lists of the item-aware model, beside the same
weights from scratch in PyTorch, and while the model is refreshed."""

import collections
import os
import subprocess
import threading
import time

import charts
import loads
from page import Unavailable
from programs import peer
from resp import named
from stage import Stage, median, redis_benchmark, spread, wait_for

# Neither a list nor a row of popularity is served again: every request is computed.
UNCACHED = "serving: {staleness: 0s, cache-max: 0B}\n"


def serving(run, part):
    with Stage(run.binary) as stage:
        log, source = loads.streamed(run, stage)
        stage.start_daemon()
        stage.wait_committed(log["events"])
        stage.redis().ask("SET", "bench", "x" * 128)
        get = redis_benchmark(stage.redis_path, ["GET", "bench"], 100_000)["rps"]
        ping = redis_benchmark(stage.socket_path, ["PING"], 100_000)["rps"]
        same = asked(stage, loads.user_name(1), 100_000)
        asked(stage, "u__rand_int__", 100_000, users=log["users"])
        cached = asked(stage, "u__rand_int__", 100_000, users=log["users"])
        stage.stop_daemon()
        stage.start_daemon(UNCACHED)
        stage.wait_committed(log["events"])
        asked(stage, "u__rand_int__", 20_000, users=log["users"])
        none = asked(stage, "u__rand_int__", 50_000, users=log["users"])
        connections = by_connections(run, stage, log["users"])
        client = stage.client()
        items = [item.decode() for item in client.ask("REC.GET", "nobody", "COUNT", "100")]
        lengths = by_history(stage, client, [1, 10, 30, 100, 300, 500], items, 3_000)
        client.close()
    part.row(f"REC.GET MODE cf, {log['items']} items ({source}), 16 connections, one user who does not change",
             f"redis-benchmark GET ({get:,.0f}/s)",
             f"{same['rps']:,.0f}/s = {same['rps'] / get:.2f} x, p50 {same['p50']:.3f} ms, p99 {same['p99']:.3f} ms",
             ">= 0.7 x, p99 <= 1 ms", same["rps"] >= 0.7 * get and same["p99"] <= 1)
    part.row(f"the same, {log['users']} users at random, no cache", f"redis-benchmark GET ({get:,.0f}/s)",
             f"{none['rps']:,.0f}/s = {none['rps'] / get:.2f} x, p50 {none['p50']:.3f} ms, p99 {none['p99']:.3f} ms",
             ">= 0.25 x, p99 <= 1 ms", none["rps"] >= 0.25 * get and none["p99"] <= 1)
    part.chart("serving", charts.bars(
        "Requests a second on a Unix socket, 16 connections", "/s",
        [("REC.GET, user has not changed", same["rps"], True),
         ("REC.GET, users at random, cached", cached["rps"], True),
         ("REC.GET, users at random, no cache", none["rps"], True),
         ("PING of Millrace", ping, True), ("GET of Redis", get, False)]), "requests a second")
    part.chart("serving-connections", charts.curves(
        "Requests a second by connections", "connections", "/s", connections),
        "requests a second by connections, no cache, beside GET")
    part.chart("serving-catalogue", charts.curves(
        "An uncached list by size of the catalogue (simulated shops, 100 000 events, one connection)", "items", "ms",
        by_catalogue(run, "cf", UNCACHED, [1_000, 10_000, 100_000] + ([1_000_000] if run.large else []))),
        "an uncached list by size of the catalogue")
    part.chart("serving-history", charts.line(
        "REC.GET MODE cf by length of history (uncached, one connection)",
        "items in the history (bound: 512)", "p50, ms", lengths), "an uncached list by length of the history")


def asked(stage, user, requests, mode="cf", users=None, connections=16):
    return redis_benchmark(stage.socket_path, ["REC.GET", user, "MODE", mode], requests, connections=connections,
                           keyspace=users)


def by_connections(run, stage, users):
    ours, get = [], []
    for connections in (1, 4, 16, 64, 256):
        ours.append((connections, asked(stage, "u__rand_int__", 20_000, users=users, connections=connections)["rps"]))
        get.append((connections, redis_benchmark(stage.redis_path, ["GET", "bench"], 50_000, connections)["rps"]))
        run.note(f"P3: {connections} connections: {ours[-1][1]:,.0f}/s, GET {get[-1][1]:,.0f}/s")
    return [("REC.GET", ours), ("GET of Redis", get)]


def by_catalogue(run, mode, settings, sizes, users=20_000, events=100_000):
    """Latency of one connection by items of a simulated shop."""
    points = []
    for items in sizes:
        with Stage(run.binary) as stage:
            loads.simulated(run.binary, stage.path("sim"), users, items, events)
            log = loads.keyed(stage.path("sim"), stage.path("log"))
            stage.start_daemon(f"catalogue: {{items-max: 2000000}}\n{settings}")
            stage.catalogue(stage.path("log.items"))
            stage.produce("interactions", stage.path("log.events"))
            stage.wait_committed(log["events"])
            if mode == "lm":
                wait_for_model(stage)
            asked(stage, "u__rand_int__", 2_000, mode, log["users"], connections=1)
            found = asked(stage, "u__rand_int__", 5_000, mode, log["users"], connections=1)
            points.append((items, found["p50"], found["p99"]))
            run.note(f"{items:,} items, MODE {mode}: p50 {found['p50']:.3f} ms, p99 {found['p99']:.3f} ms")
    return [("p50", [(items, p50) for items, p50, _ in points]), ("p99", [(items, p99) for items, _, p99 in points])]


def by_history(stage, client, lengths, items, requests):
    """Uncached latency of users with histories of chosen lengths."""
    points = []
    for length in lengths:
        user = f"history{length}"
        for at in range(0, length, 500):
            chunk = range(at, min(length, at + 500))
            for number in chunk:
                client.send("EVENT.ADD", user, items[number % len(items)], "view")
            for _ in chunk:
                client.reply()
        wait_for(f"{user} has its history", lambda: has_events(client, user, length))
        points.append((length, asked(stage, user, requests, connections=1)["p50"]))
    return points


def has_events(client, user, count):
    reply = client.ask("USER.GET", user)
    return reply and named(reply)[b"events"] >= count


# P4


def model(run, part):
    with Stage(run.binary) as stage:
        log, source = loads.streamed(run, stage)
        folder = stage.path("model")
        subprocess.run([run.binary, "train", "--data", log["folder"], "--out", folder, "--epochs", "2"],
                       check=True, capture_output=True)
        settings = f"{UNCACHED}model: {{folder: {folder}}}\n"
        stage.start_daemon(settings)
        stage.wait_committed(log["events"])
        wait_for_model(stage)
        asked(stage, "u__rand_int__", 50_000, "lm", log["users"])
        found = asked(stage, "u__rand_int__", 50_000, "lm", log["users"])
        part.row(f"REC.GET MODE lm, item head over {log['items']} items ({source}), 16 connections, {log['users']} users "
                 "at random", "absolute", f"{found['rps']:,.0f}/s, p50 {found['p50']:.3f} ms, p99 {found['p99']:.3f} ms",
                 "p50 <= 10 ms, p99 <= 25 ms", found["p50"] <= 10 and found["p99"] <= 25)
        from_scratch(run, part, stage, folder, log["folder"])
        part.chart("model-catalogue", charts.curves(
            "A list of the model by size of the catalogue (one connection, no cache)", "items", "ms",
            by_catalogue(run, "lm", settings, [1_000, 10_000, 100_000] if run.large else [1_000, 10_000, 50_000])),
            "a list of the model by size of the catalogue")
    found = refresh_beside_serving(run.binary, run.recorded())
    idle, busy = found["idle"], found["busy"]
    part.row(f"the same at a steady {found['rate']}/s on 8 connections while the model is refreshed beside it "
             f"({found['learnt']:,} events, {median(found['seconds']):.0f} s each of {len(found['seconds'])})",
             f"without (p50 {idle['p50']:.2f} ms, p99 {idle['p99']:.2f} ms)",
             f"p50 {busy['p50']:.2f} ms, p99 {busy['p99']:.2f} ms", "p99 <= 25 ms", busy["p99"] <= 25)


def from_scratch(run, part, stage, model, data):
    """One user's list, here and by a server without caches, and whether it is the same."""
    what, goal = "the same, one user, one connection", ">= 10 x"
    client, user = stage.client(), loads.user_name(1)
    history = [event[0].decode() for event in named(client.ask("USER.GET", user))[b"history"]]
    begin = time.monotonic()
    for _ in range(200):
        served = [item.decode() for item in client.ask("REC.GET", user, "COUNT", "10", "MODE", "lm")]
    ours = 5 * (time.monotonic() - begin)
    client.close()
    try:
        answer = peer(run, "recompute.py", model, f"{data}/items.jsonl", *history).splitlines()
    except Unavailable as reason:
        return part.row(what, "the same weights from scratch in PyTorch", f"not measured: {reason}", goal, None)
    theirs, best = float(answer[0].split()[0]), [item for item in answer[1].split() if item not in history]
    same = served[:len(best)] == best
    part.row(what, f"the same weights from scratch in PyTorch ({theirs:.0f} ms)",
             f"{ours:.3f} ms = {theirs / ours:,.0f} x, {'the same list' if same else 'ANOTHER LIST'}", goal,
             same and theirs >= 10 * ours)


def wait_for_model(stage):
    wait_for("the model serves", lambda: stage.try_info().get("model_version", "loading") != "loading"
             and stage.try_info().get("model_items_pending") == "0")


class SteadyLoad:
    """REC.GET MODE lm of users in turn at a fixed rate, whatever the replies take: a late reply delays no request, and
    its wait counts from when it was due."""

    def __init__(self, stage, users, rate, connections=8):
        self.users, self.rate = users, rate
        self.clients = [stage.client() for _ in range(connections)]
        self.due = [collections.deque() for _ in self.clients]
        self.samples, self.running = [], True
        self.threads = [threading.Thread(target=self.send)]
        self.threads += [threading.Thread(target=self.read, args=pair) for pair in zip(self.clients, self.due)]
        for thread in self.threads:
            thread.start()

    def send(self):
        begin, number = time.monotonic(), 0
        while self.running:
            due = begin + number / self.rate
            if (pause := due - time.monotonic()) > 0:
                time.sleep(pause)
            at = number % len(self.clients)
            self.due[at].append(due)
            self.clients[at].send("REC.GET", loads.user_name(number * 7_919 % self.users), "MODE", "lm")
            number += 1

    def read(self, client, due):
        try:
            while True:
                client.reply()
                now = time.monotonic()
                self.samples.append((now, 1_000 * (now - due.popleft())))
        except (OSError, ValueError, ConnectionError):
            pass

    def close(self):
        self.running = False
        self.threads[0].join()
        for client in self.clients:
            client.socket.shutdown(2)
        for thread in self.threads[1:]:
            thread.join()


def beside_refresh(stage, users, rate, rounds=3, idle_seconds=10):
    """Waits of a steady load while the daemon does nothing else, and while it refreshes its model; the base again
    before each round, so that there is as much to learn. Milliseconds, and seconds of the refreshes."""
    wait_for_model(stage)
    control = stage.client()
    load = SteadyLoad(stage, users, rate)
    idle, busy, seconds, results = [], [], [], []
    try:
        time.sleep(2)
        for _ in range(rounds):
            begin = time.monotonic()
            time.sleep(idle_seconds)
            idle.append((begin, time.monotonic()))
            ended = control.info()["refresh_last_end"], control.info()["refreshes_published"]
            begin = time.monotonic()
            control.ask("MODEL.REFRESH")
            info = wait_for("the refresh ends", lambda: (
                found if (found := control.info())["refresh_state"] == "idle"
                and (found["refresh_last_end"], found["refreshes_published"]) != ended else None),
                seconds=1_800, interval=0.05)
            busy.append((begin, time.monotonic()))
            seconds.append(float(info["refresh_last_seconds"]))
            results.append(info["refresh_last_result"])
            if results[-1] == "published":
                control.ask("MODEL.ROLLBACK", "base")
    finally:
        load.close()
        control.close()

    def waits(spans):
        return spread([wait for at, wait in load.samples if any(begin <= at <= end for begin, end in spans)])
    return {"idle": waits(idle), "busy": waits(busy), "seconds": seconds, "results": results, "rate": rate}


def refresh_beside_serving(binary, recorded, rate=400, events=30_000, rounds=3):
    """`beside_refresh` of a daemon of its own; the log is moved so that it ends now, as old events are not learnt."""
    with Stage(binary) as stage:
        folder = stage.path("recent")
        if recorded:
            os.makedirs(folder)
            loads.moved(recorded, folder, int(1_000 * time.time()) - 3_600_000)
        else:
            loads.simulated(binary, folder, 5_000, 5_000, 60_000)
            loads.moved(folder, folder, int(1_000 * time.time()) - 3_600_000)
        log = loads.keyed(folder, stage.path("log"))
        model = stage.path("model")
        subprocess.run([binary, "train", "--data", folder, "--out", model, "--data-share", "0.5", "--epochs", "2",
                        "--answer-weight", "0"], check=True, capture_output=True)
        stage.produce("items", stage.path("log.items"))
        stage.produce("interactions", stage.path("log.events"))
        stage.start_daemon(
            "serving: {staleness: 0s, cache-max: 0B}\n"
            f"model: {{folder: {model}, adapters: {stage.path('adapters')}}}\n"
            f"refresh: {{window: 3650d, events-max: {events}, probation: 0}}\n")
        stage.wait_committed(log["events"])
        return {"learnt": events} | beside_refresh(stage, log["users"], rate, rounds)
