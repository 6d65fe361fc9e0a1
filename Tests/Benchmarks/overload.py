#!/usr/bin/env python3
"""What the daemon does when more is asked of it than it can do (promise G5).

Finds the rate at which the full list is still made for everybody, with requests that come when they come and not when
the one before was answered (an open loop, Poisson arrivals), then offers 1, 2 and 5 times as much. A latency counts
from the moment a request was due to be sent. Writes docs/benchmarks/overload*.svg and overload.md.
"""

import argparse
import os
import random
import re
import selectors
import socket
import tempfile
import time

import charts
import loads
import resp
import stage as stages

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DEADLINE_MS = 200
CONNECTIONS = 192
# One match a reply: the rung of a list (ASOF), or the word of an error.
REPLY = re.compile(rb"rung\r\n\$\d+\r\n([^\r]+)\r\n|^-([A-Z]+)[^\r]*\r\n", re.M)
WINDOW = 0.5


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.rest = b""
        self.unsent = b""
        self.due = []
        self.answered = 0

    def send(self, data):
        self.unsent += data
        self.flush()

    def flush(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass

    def read(self, moment, out):
        try:
            data = self.rest + self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        end = 0
        for match in REPLY.finditer(data):
            out.append((self.due[self.answered], moment - self.due[self.answered],
                        (match.group(1) or match.group(2)).decode()))
            self.answered += 1
            end = match.end()
        self.rest = data[end:] if len(data) - end < 1 << 16 else data[-256:]


def offer(path, users, rate, seconds, deadline=DEADLINE_MS):
    """(when due, latency in s, rung or error) of every request, unanswered ones late for good; and the most under way."""
    connections = [Connection(path) for _ in range(CONNECTIONS)]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    rng = random.Random(7)
    frames = [resp.Resp.encode("REC.GET", user, "COUNT", 20, "DEADLINE", deadline, "ASOF")
              for user in users]
    out = []
    began = time.monotonic()
    end = began + seconds
    due = began
    most = 0
    while True:
        now = time.monotonic()
        while due <= now and due < end:
            connection = connections[rng.randrange(CONNECTIONS)]
            connection.due.append(due)
            connection.send(frames[rng.randrange(len(frames))])
            due += rng.expovariate(rate)
        under_way = sum(len(c.due) - c.answered for c in connections)
        most = max(most, under_way)
        if due >= end and (under_way == 0 or now > end + deadline / 1000 + 5):
            break
        for key, _ in selector.select(max(0, min(due - now, 0.01))):
            key.data.read(time.monotonic(), out)
        for connection in connections:
            if connection.unsent:
                connection.flush()
    for connection in connections:
        out += [(moment, float("inf"), "none") for moment in connection.due[connection.answered:]]
        connection.socket.close()
    return [(moment - began, latency, outcome) for moment, latency, outcome in out], most


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def kind(outcome):
    if outcome in ("BUSY", "TIMEOUT", "none"):
        return outcome
    return outcome if outcome in ("cf", "popular") else "full"


def shares(results):
    counts = {}
    for _, _, outcome in results:
        counts[kind(outcome)] = counts.get(kind(outcome), 0) + 1
    return {name: count / len(results) for name, count in counts.items()}


def capacity(path, users):
    """The highest rate at which 98 of 100 get the full list, within half of the deadline."""
    rate, best = 100.0, 100.0
    while True:
        results, _ = offer(path, users, rate, 3)
        full = shares(results).get("full", 0)
        p99 = percentile([latency for _, latency, _ in results], 0.99) * 1000
        print(f"  {rate:7.0f}/s: {100 * full:5.1f} % full, p99 {p99:6.1f} ms", flush=True)
        if full < 0.98 or p99 > DEADLINE_MS / 2:
            return best
        best = rate
        rate *= 1.25


def windows(results, start):
    """By half a second: p50 and p99 of lists in ms, and shares of what was answered."""
    groups = {}
    for moment, latency, outcome in results:
        groups.setdefault(int(moment / WINDOW), []).append((latency, kind(outcome)))
    rows = []
    for place in sorted(groups):
        group = groups[place]
        if len(group) < 20:
            continue
        lists = [latency * 1000 for latency, what in group if what in ("full", "cf", "popular")]
        counts = {}
        for _, what in group:
            counts[what] = counts.get(what, 0) + 1 / len(group)
        rows.append((start + place * WINDOW, percentile(lists, 0.5), percentile(lists, 0.99), counts))
    return rows


def row(name, rate, results, seconds, held):
    lists = [latency * 1000 for _, latency, what in results if kind(what) in ("full", "cf", "popular")]
    errors = [latency * 1000 for _, latency, what in results if kind(what) == "BUSY"]
    part = shares(results)
    in_time = sum(latency <= DEADLINE_MS for latency in lists)
    return (f"| {name} | {rate:.0f} | {in_time / seconds:.0f} | " + " | ".join(
        f"{100 * part.get(what, 0):.1f} %" for what in ("full", "cf", "popular", "BUSY"))
            + f" | {100 * (part.get('TIMEOUT', 0) + part.get('none', 0)):.2f} % "
            f"| {percentile(lists, .5):.1f} | {percentile(lists, .99):.1f} | {percentile(lists, .999):.1f} "
            f"| {percentile(errors, .5):.1f} | {held} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=f"{ROOT}/.build/release/millrace")
    parser.add_argument("--seconds", type=float, default=15, help="of each load")
    parser.add_argument("--out", default=f"{ROOT}/docs/benchmarks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stages.Stage(arguments.binary) as stage:
        loads.simulated(arguments.binary, folder, 3_000, 10_000, 120_000)
        log = loads.keyed(folder, f"{folder}/log")
        stage.start_daemon("serving: {cache-max: 0}")
        stage.produce("items", f"{folder}/log.items")
        stage.produce("interactions", f"{folder}/log.events")
        stages.wait_for("all events are durable", lambda: resp.committed(
            stage.try_info() or {}) >= log["events"], interval=0.5)
        users = [loads.user_name(number) for number in range(log["users"])]
        stages.wait_for("the combiner has learnt", lambda: (stage.try_info() or {}).get(
            "mixture_serves", "not yet") != "not yet")
        offer(stage.socket_path, users, 500, 5)
        most = capacity(stage.socket_path, users)
        rows, series, marks, at = [], [], [], 0.0
        for times in (1, 2, 5):
            memory = stage.daemon_rss()
            results, held = offer(stage.socket_path, users, times * most, arguments.seconds)
            rows.append(row(f"{times}x", times * most, results, arguments.seconds, held))
            print(rows[-1], f"{(stage.daemon_rss() - memory) / 1e6:+.1f} MB", flush=True)
            series += windows(results, at)
            marks.append((at, f"{times}x"))
            at += arguments.seconds
        patient, held = offer(stage.socket_path, users, 2 * most, arguments.seconds, deadline=60_000)
        rows.append(row("2x, deadline 60 s", 2 * most, patient, arguments.seconds, held))
        print(rows[-1], flush=True)
    without = windows(patient, 0)
    write(arguments.out, rows, series, marks, without, most, log)


def write(out, rows, series, marks, without, most, log):
    offset = marks[1][0]
    with open(f"{out}/overload.svg", "w") as file:
        file.write(charts.timeline(
            "Latency of lists while 1, 2 and 5 times the capacity is asked for", "seconds",
            "ms (logarithmic)",
            [("p99", [(x, p99) for x, _, p99, _ in series]),
             ("p50", [(x, p50) for x, p50, _, _ in series]),
             ("p50 with a deadline of 60 s", [(offset + x, p50) for x, p50, _, _ in without])],
            marks, (DEADLINE_MS, f"deadline {DEADLINE_MS} ms")))
    with open(f"{out}/overload-rungs.svg", "w") as file:
        file.write(charts.shares(
            "What the requests were answered by", "seconds",
            [(name, [(x, counts.get(what, 0)) for x, _, _, counts in series])
             for name, what in (("full list", "full"), ("rules (cf)", "cf"), ("popular", "popular"),
                                ("BUSY", "BUSY"), ("TIMEOUT", "TIMEOUT"))], marks))
    with open(f"{out}/overload.md", "w") as file:
        file.write(f"""# Under more than it can do

`make overload` (Tests/Benchmarks/overload.py): the real daemon with Redis and a broker on the same two cores, a simulated shop of
{log['events']} events, {log['users']} users and {log['items']} items, the combined list of 20 items, no reply cache, deadline {DEADLINE_MS} ms. Requests come in an
open loop (Poisson) over {CONNECTIONS} connections, and a latency counts from when a request was due. Capacity is the highest rate at which 98 of 100
requests still get the full list within half of the deadline: {most:.0f}/s in this run. The load generator takes its part of the two cores.

![latency](overload.svg)
![rungs](overload-rungs.svg)

| load | offered/s | lists in time/s | full | cf | popular | BUSY | late | p50 ms | p99 ms | p99.9 ms | BUSY p50 ms | most under way |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
""" + "\n".join(rows) + """

*full*: all sources combined; *late*: `TIMEOUT`, or no answer at all. The last line is what happens when the deadline gives no reason to make a
cheaper list: the queue grows with the load until `serving.requests-max` is reached, and everybody waits.
How the ladder decides: [lists.md](../lists.md#the-deadline-ladder).
""")


if __name__ == "__main__":
    main()
