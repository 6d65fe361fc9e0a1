"""P2, freshness: an event is produced, and a subscriber reads the feed that it changed."""

import collections
import json
import subprocess
import threading
import time

import charts
import loads
from stage import Stage, spread

RATE = 1_000
# How long late feeds are waited for; an event that changed no list, because the one before had not arrived yet, has none.
PATIENCE_SECONDS = 5


def freshness(run, part):
    with Stage(run.binary) as stage:
        log, _ = loads.streamed(run, stage)
        stage.start_daemon(fetch_wait=1)
        stage.wait_committed(log["events"])
        alone = hops(stage)
        found = {}
        for feeds in (1_000, 100, 10_000):
            users = [loads.user_name(number) for number in range(feeds)]
            found[feeds] = watched(stage, users, RATE, run.seconds if feeds == 1_000 else 5)
            run.note(f"P2: {feeds:,} feeds: {found[feeds]}")
    result, both = found[1_000], alone["kafka"]["p50"] + alone["redis"]["p50"]
    part.row(f"freshness: EVENT.ADD to changed feed read, 1 000 feeds, {result['rate']:,.0f} events/s, "
             f"{result['count']} of {result['expected']} seen (after a second, in which feeds are new)", "absolute",
             f"p50 {result['p50']:.1f} ms, p99 {result['p99']:.1f} ms (EVENT.ADD's reply: p50 {result['add']['p50']:.1f} ms)",
             "p99 <= 50 ms", result["p99"] <= 50 and result["count"] >= 0.99 * result["expected"])
    part.row("the same", f"produce to consume (kcat, p50 {alone['kafka']['p50']:.1f} ms) and SET to GET "
             f"(p50 {alone['redis']['p50']:.2f} ms)", f"p50 {result['p50'] / both:.1f} x", "<= 3 x",
             result["p50"] <= 3 * both)
    part.chart("freshness", charts.bars(
        "From event to changed feed, 1 000 events/s, 1 000 feeds", "ms",
        [("p99", result["p99"], True), ("p50", result["p50"], True),
         ("produce to consume alone, p50", alone["kafka"]["p50"], False),
         ("SET to GET alone, p50", alone["redis"]["p50"], False)]), "freshness beside the two hops alone")
    part.chart("freshness-feeds", charts.curves(
        "From event to changed feed by watched feeds, 1 000 events/s", "watched feeds", "ms",
        [(name, [(feeds, found[feeds][name]) for feeds in sorted(found) if found[feeds]["count"]])
         for name in ("p50", "p99")]),
        "freshness by the number of watched feeds")


class Watchers:
    """Watched feeds on a few connections; every change is noted with the time it was read."""

    def __init__(self, stage, users, connections):
        self.lists, self.changes = {}, []
        self.sockets = []
        for index in range(connections):
            client = stage.client()
            mine = users[index::connections]
            client.send("SUBSCRIBE", *("feed:" + user for user in mine))
            for _ in mine:
                client.reply()
            self.sockets.append(client)
        self.running = True
        self.threads = [threading.Thread(target=self.read, args=(c,), daemon=True) for c in self.sockets]
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


def watched(stage, users, rate, seconds):
    """Every event takes the head of the user's list away, so that every event changes a feed. The first event of each
    feed, and at least a second, warms up: all feeds are new, and their first lists are made."""
    warm = max(1.0, len(users) / rate)
    reader = stage.client()
    lists = {user: [i.decode() for i in reader.patiently("REC.GET", user)] for user in users}
    reader.close()
    watchers = Watchers(stage, users, connections=4 + len(users) // 3_000)
    watchers.lists = dict(lists)
    producer = stage.client()
    sent, acknowledged = [], []
    total = int(rate * (warm + seconds))

    def read_replies():
        for _ in range(total):
            position = producer.reply().decode()
            acknowledged.append((time.monotonic(), position))

    replies = threading.Thread(target=read_replies, daemon=True)
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
    took = sent[-1][0] - start
    begin, end = sent[0][0] + warm, time.monotonic() + PATIENCE_SECONDS
    expected = sum(at >= begin for at, _ in sent)
    while len(found := latencies(sent, acknowledged, list(watchers.changes), begin)) < expected:
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    watchers.close()
    producer.close()
    hop = [1e3 * (reply[0] - at) for (at, _), reply in zip(sent, acknowledged) if at >= begin]
    return {**spread(found), "expected": expected, "rate": total / took, "add": spread(hop)}


def latencies(sent, acknowledged, changes, begin):
    """Milliseconds from each event since `begin` to the first change of its user's feed that holds it."""
    waiting = {}
    for (at, user), (_, position) in zip(sent, acknowledged):
        partition, offset = map(int, position.split(":"))
        waiting.setdefault((user, partition), collections.deque()).append((offset, at))
    found = []
    for at, user, partition, next_offset in changes:
        events = waiting.get((user, partition), ())
        while events and events[0][0] < next_offset:
            sent_at = events.popleft()[1]
            if sent_at >= begin:
                found.append(1e3 * (at - sent_at))
    return found


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
