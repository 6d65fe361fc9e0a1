"""The measurements: each returns plain numbers and compares with something real in the same run."""

import collections
import json
import os
import re
import selectors
import shutil
import signal
import statistics
import subprocess
import threading
import time

import loads
from stage import CHUNK_EVENTS, Resp, Stage, committed, partitions, redis_benchmark, wait_for


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def spread(values):
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "count": len(values)}


# P1


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


def ingest(stage, log, kafka=""):
    """The preloaded topic, from the first commit seen to the last."""
    stage.start_daemon(kafka=kafka, wait="nothing")
    client = wait_for("the socket is there", lambda: try_client(stage), interval=0.005)
    samples = []
    while True:
        count = committed(client.info())
        samples.append((time.monotonic(), count, stage.daemon_seconds()))
        if count >= log["events"]:
            break
        time.sleep(0.005)
    begin = next(s for s in samples if s[1] > 0)
    before = [s for s in samples if s[1] == 0]
    end = samples[-1]
    client.close()
    threads = {name: 1e6 * seconds / log["events"]
               for name, seconds in stage.daemon_thread_seconds().items()}
    return {"threads": threads, "rate": (end[1] - begin[1]) / (end[0] - begin[0]),
            "with_first_commit": log["events"] / (end[0] - before[-1][0]) if before else None,
            "cpu_us": 1e6 * (end[2] - (before[-1] if before else begin)[2]) / log["events"]}


def try_client(stage):
    try:
        return stage.client()
    except OSError:
        return None


def middle_ingest(stage, log, repeats, kafka=""):
    """Each repetition ingests the same topic into an empty Redis; the middle one counts."""
    runs = []
    for _ in range(repeats):
        stage.redis().ask("FLUSHALL")
        runs.append(ingest(stage, log, kafka))
        stage.stop_daemon()
    return sorted(runs, key=lambda run: run["rate"])[len(runs) // 2]


# P2


class Watchers:
    """Watched feeds on a few connections; every change is noted with the time it was read."""

    def __init__(self, stage, users, connections):
        self.lists, self.changes = {}, []
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        for index in range(connections):
            client = stage.client()
            mine = users[index::connections]
            client.send("SUBSCRIBE", *("feed:" + user for user in mine))
            for _ in mine:
                client.reply()
            self.sockets.append(client)
        self.running = True
        self.threads = [threading.Thread(target=self.read, args=(c,)) for c in self.sockets]
        for thread in self.threads:
            thread.start()

    def read(self, client):
        try:
            while self.running:
                kind, channel, text = client.reply()
                now = time.monotonic()
                message = json.loads(text)
                user = channel[5:].decode()
                self.lists[user] = message["items"]
                self.changes.append((now, user, message["partition"], message["offset"]))
        except (OSError, ValueError, ConnectionError):
            pass

    def close(self):
        self.running = False
        for client in self.sockets:
            client.socket.shutdown(2)
        for thread in self.threads:
            thread.join()


def freshness(stage, users, rate, seconds):
    """Every event takes the head of the user's list away, so that every event changes a feed."""
    reader = stage.client()
    lists = {user: [i.decode() for i in reader.ask("REC.GET", user)] for user in users}
    watchers = Watchers(stage, users, connections=4)
    watchers.lists = dict(lists)
    producer = stage.client()
    sent, acknowledged = [], []
    total = rate * seconds

    def read_replies():
        for _ in range(total):
            position = producer.reply().decode()
            acknowledged.append((time.monotonic(), position))

    replies = threading.Thread(target=read_replies)
    replies.start()
    start = time.monotonic()
    for number in range(total):
        due = start + number / rate
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        user = users[number % len(users)]
        item = watchers.lists[user][0]
        sent.append((time.monotonic(), user))
        producer.send("EVENT.ADD", user, item, "view")
    replies.join()
    time.sleep(1)
    watchers.close()
    took = sent[-1][0] - start
    waiting = {}
    for (at, user), (_, position) in zip(sent, acknowledged):
        partition, offset = map(int, position.split(":"))
        waiting.setdefault((user, partition), []).append((offset, at))
    latencies = []
    # The first second warms up: all feeds are new, and their first lists are made.
    begin = sent[0][0] + 1
    for at, user, partition, next_offset in watchers.changes:
        events = waiting.get((user, partition), [])
        while events and events[0][0] < next_offset:
            sent_at = events.pop(0)[1]
            if sent_at >= begin:
                latencies.append(1e3 * (at - sent_at))
    hop = [1e3 * (reply[0] - at) for (at, _), reply in zip(sent, acknowledged)]
    return {**spread(latencies), "sent": total, "rate": total / took, "add": spread(hop[rate:])}


def hops(stage, count=1_000):
    """The two hops alone: an event's record -> read by kcat, and SET -> GET."""
    consumer = stage.kcat("-C", "-u", "-q", "-t", "interactions", "-o", "end", "-f", "%p:%o\\n",
                          "-X", "fetch.wait.max.ms=1", stdout=subprocess.PIPE)
    seen, arrived = {}, threading.Condition()

    def read():
        for line in consumer.stdout:
            with arrived:
                seen[line.strip()] = time.monotonic()
                arrived.notify_all()

    threading.Thread(target=read, daemon=True).start()
    client, kafka = stage.client(), []

    def round_trip(number, patience):
        begin = time.monotonic()
        position = client.ask("EVENT.ADD", f"hop{number % 100}", "none", "view")
        with arrived:
            arrived.wait_for(lambda: position in seen, patience)
        return (seen[position] - begin) * 1e3 if position in seen else None

    warm = 0
    while round_trip(warm, 0.2) is None and warm < 100:
        warm += 1
    for number in range(count):
        took = round_trip(number, 5)
        if took is not None:
            kafka.append(took)
    consumer.terminate()
    consumer.wait()
    client.close()
    client, redis = stage.redis(), []
    for number in range(count):
        begin = time.monotonic()
        client.ask("SET", "hop", number)
        client.ask("GET", "hop")
        redis.append((time.monotonic() - begin) * 1e3)
    return {"kafka": spread(kafka), "redis": spread(redis)}


# P3


def serving(stage, users, requests):
    def run(*words, keyspace=None):
        return redis_benchmark(stage.socket_path, list(words), requests, keyspace=keyspace)

    stage.redis().ask("SET", "bench", "x" * 128)
    return {
        "get": redis_benchmark(stage.redis_path, ["GET", "bench"], requests),
        "ping": run("PING"),
        "same": run("REC.GET", loads.user_name(1), "MODE", "cf"),
        "warm": run("REC.GET", "u__rand_int__", "MODE", "cf", keyspace=users),
        "many": run("REC.GET", "u__rand_int__", "MODE", "cf", keyspace=users),
    }


def model_serving(stage, users, requests):
    """Lists of the model, none from the list cache; and the same list from scratch in PyTorch, where there is one."""
    wait_for("the model serves", lambda: stage.try_info().get("model_version", "loading") != "loading"
             and stage.try_info().get("model_items_pending") == "0")

    def run():
        return redis_benchmark(stage.socket_path, ["REC.GET", "u__rand_int__", "MODE", "lm"],
                               requests, keyspace=users)

    run()
    return run()


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
    wait_for("the model serves", lambda: stage.try_info().get("model_version", "loading") != "loading"
             and stage.try_info().get("model_items_pending") == "0")
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


def recomputed(folder, items, history):
    """Milliseconds and the ten best items by PyTorch; None without it (MILLRACE_TEST_PYTHON)."""
    script = os.path.join(os.path.dirname(__file__), "recompute.py")
    done = subprocess.run(
        [os.environ.get("MILLRACE_TEST_PYTHON", "python3"), script, folder, items, *history],
        capture_output=True, text=True)
    if done.returncode != 0:
        return None
    time_line, best = done.stdout.strip().splitlines()
    return float(time_line.split()[0]), best.split()


def by_history(stage, client, lengths, items, requests):
    """Uncached latency of users with histories of chosen lengths."""
    points, produced = [], 0
    for length in lengths:
        user = f"history{length}"
        for at in range(0, length, 500):
            chunk = range(at, min(length, at + 500))
            for number in chunk:
                client.send("EVENT.ADD", user, items[number % len(items)], "view")
            for _ in chunk:
                client.reply()
        produced += length
        wait_for(f"{user} has its history", lambda: has_events(client, user, length))
        result = redis_benchmark(
            stage.socket_path, ["REC.GET", user, "MODE", "cf"], requests, connections=1)
        points.append((length, result["p50"], result["p99"]))
    return points


def has_events(client, user, count):
    reply = client.ask("USER.GET", user)
    if not reply:
        return False
    fields = dict(zip(reply[::2], reply[1::2]))
    return fields[b"events"] >= count


# P10, P11


def fill(stage, users, items, per_user, note):
    """Streams a crowd in, chunk by chunk as the broker forgets; notes resident size on the way."""
    total = done = seed = 0
    rss = []
    begin = time.monotonic()
    step = int(CHUNK_EVENTS / per_user * 0.8)
    while done < users:
        count = min(step, users - done)
        total += loads.crowd(stage.path("crowd"), done, count, items, per_user, seed)
        stage.produce("interactions", stage.path("crowd"))
        stage.wait_committed(total, interval=0.1)
        done += count
        seed += 1
        rss.append((done, stage.daemon_rss(), stage.rule_pairs()))
        note(f"{done} users, {total} events, {time.monotonic() - begin:.0f} s")
    # The same users again: nobody new, so that only growth over time remains.
    for round_number in range(4):
        first = (users - step) * round_number // 4 if users > step else 0
        total += loads.crowd(
            stage.path("crowd"), first, min(step, users), items, per_user, 100 + round_number)
        stage.produce("interactions", stage.path("crowd"))
        stage.wait_committed(total, interval=0.1)
        rss.append((users + (round_number + 1) * min(step, users), stage.daemon_rss(),
                    stage.rule_pairs()))
    return {"events": total, "rss": rss, "seconds": time.monotonic() - begin}


def memory(stage):
    client, redis = stage.client(), stage.redis()
    info = client.info()
    owned = partitions(info)
    users = sum(int(part["users"]) for part in owned)
    blobs = sum(int(part["bytes"]) for part in owned)
    sizes = {}
    cursor = b"0"
    while True:
        cursor, keys = redis.ask("SCAN", cursor, "COUNT", 1000)
        for key in keys:
            sizes[key.decode()] = redis.ask("MEMORY", "USAGE", key, "SAMPLES", 1000)
        if cursor == b"0":
            break
    user_bytes = sum(size for key, size in sizes.items() if key.split(":")[-1] == "users"
                     or ":users" in key)
    item_bytes = sum(size for key, size in sizes.items() if ":items" in key)
    other = sum(sizes.values()) - user_bytes - item_bytes
    return {"users": users, "blobs": blobs / users, "user": user_bytes / users,
            "items": int(info["items"]), "item": item_bytes / max(1, int(info["items"])),
            "other": other, "keys": {k: v for k, v in sorted(sizes.items())[:60]}}


def recovery(stage, settings):
    """kill -9 and up again, against a Redis that loads the same data from its own file."""
    client = stage.client()
    before = client.ask("DIGEST")
    events = committed(client.info())
    client.close()
    stage.stop_daemon(signal.SIGKILL)
    seconds = stage.start_daemon(settings)
    client = stage.client()
    info = client.info()
    after = client.ask("DIGEST")
    client.close()
    redis = stage.redis()
    redis.ask("SAVE")
    folder = stage.path("copy")
    shutil.os.mkdir(folder)
    shutil.copy(stage.path("dump.rdb"), folder)
    log = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", folder + "/redis.sock", "--save", "",
         "--dir", folder], stdout=subprocess.PIPE, text=True)
    loaded = None
    for line in log.stdout:
        found = re.search(r"DB loaded from disk: ([0-9.]+) seconds", line)
        if found:
            loaded = float(found.group(1))
            break
        if "Ready to accept" in line:
            break
    log.terminate()
    log.stdout.close()
    log.wait()
    return {"ready": stage.ready_seconds, "owning": seconds, "redis": loaded, "replayed": int(info["events_applied"]),
            "same_digest": without_offsets(before) == without_offsets(after), "events": events,
            "dump": shutil.os.path.getsize(stage.path("dump.rdb"))}


def without_offsets(digest):
    """What does not change with the claims of a start."""
    return repr(digest)


def median(values):
    return statistics.median(values)
