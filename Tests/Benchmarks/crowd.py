"""P10 and P11: more users than the cache holds; what they weigh, and how soon the daemon is back after kill -9."""

import os
import re
import shutil
import signal
import subprocess
import time

import charts
import loads
from resp import partitions
from stage import CHUNK_EVENTS, Stage

SMALL_CACHE = 50_000
ITEMS = 10_000
PER_USER = 2.0
# The digest of millions of pairs takes its time where others use the processors too.
SETTINGS = f"engine: {{users-cached-max: {SMALL_CACHE}}}\nserving: {{deadline: 30s}}\n"
# Few enough that the crowd reaches them early; the defaults are 50 000 000 pairs and 3 000 lists.
FEW_PAIRS, FEW_LISTS = 100_000, 200


def crowd(run, recovered, weighed):
    with Stage(run.binary) as stage:
        filled = fill(run, stage, SETTINGS, run.users)
        size = memory(stage)
        history = filled["events"] / size["users"]
        allowed = 512 + 8 * history
        weighed.row(f"memory a user in Redis, {size['users']:,} users, {history:.1f} events each", "absolute",
                    f"{size['user']:.0f} B (state {size['blobs']:.0f} B)",
                    f"<= 512 B + 8 B an entry = {allowed:.0f} B", size["user"] <= allowed)
        weighed.row(f"memory an item in Redis, {size['items']:,} items", "absolute", f"{size['item']:.0f} B",
                    "<= 2 048 B", size["item"] <= 2_048)
        back = recovery(stage, SETTINGS)
    recovered.row(f"recovery after kill -9, {size['users']:,} users in Redis",
                  f"redis-server loading the same data ({back['redis']:.2f} s, {back['dump'] / 2**20:.0f} MiB)",
                  f"READY after {back['ready']:.2f} s, its partitions again after {back['owning']:.1f} s (the group's "
                  f"session timeout of 6 s and the join), {back['replayed']} events replayed, "
                  + ("same digest" if back["same_digest"] else f"ANOTHER DIGEST: {back['differs']}"),
                  "<= 2 s, nothing twice",
                  back["ready"] <= 2 and back["replayed"] == 0 and back["same_digest"])
    resident(weighed, filled["rss"], 2 * SMALL_CACHE, "rule pairs up to the default of 50,000,000")
    with Stage(run.binary) as stage:
        few = f"rules: {{pairs-max: {FEW_PAIRS}}}\nmixture: {{lists-max: {FEW_LISTS}}}\n"
        soaked = fill(run, stage, SETTINGS + few, run.users)
    full = next((seen for seen, _, pairs in soaked["rss"] if pairs >= FEW_PAIRS), 0)
    resident(weighed, soaked["rss"], max(full, 2 * SMALL_CACHE),
             f"tables full: rule pairs up to {FEW_PAIRS:,}, lists that are learnt from up to {FEW_LISTS}")
    weighed.chart("memory", charts.lines(
        f"Resident set at most, cache of {SMALL_CACHE:,} users", "users served", "MiB",
        [(name, [(seen, value / 2**20) for seen, value, _ in rss])
         for name, rss in (("pairs to 50 M", filled["rss"]), (f"pairs to {FEW_PAIRS:,}", soaked["rss"]))]),
        "resident set while users come that the cache has no room for, with tables that grow and with full ones")


def resident(part, rss, begin, what):
    seen, first, pairs = next(sample for sample in rss if sample[0] >= begin)
    last = rss[-1]
    part.row(f"most of the resident set, cache of {SMALL_CACHE:,} users, from {seen:,} to {last[0]:,} users served, {what}", "absolute",
             f"{first / 2**20:.0f} -> {last[1] / 2**20:.0f} MiB = {last[1] / first:.2f} x, rule pairs {pairs:,} -> {last[2]:,}",
             "flat (<= 1.2 x)", last[1] <= 1.2 * first)


def fill(run, stage, settings, users):
    """Streams a crowd in, chunk by chunk as the broker forgets; notes resident size and pairs on the way."""
    loads.simulated(run.binary, stage.path("sim"), 100, ITEMS, 1_000)
    loads.keyed(stage.path("sim"), stage.path("log"))
    stage.produce("items", stage.path("log.items"))
    stage.start_daemon(settings)
    total = done = seed = 0
    rss = []
    begin = time.monotonic()
    step = int(CHUNK_EVENTS / PER_USER * 0.8)

    def stream(first, count):
        nonlocal total, seed
        total += loads.crowd(stage.path("crowd"), first, count, ITEMS, PER_USER, seed)
        seed += 1
        stage.produce("interactions", stage.path("crowd"))
        stage.wait_committed(total, interval=0.1)

    while done < users:
        count = min(step if done >= 2 * SMALL_CACHE else SMALL_CACHE, users - done)
        stream(done, count)
        done += count
        rss.append((done, stage.daemon_peak_rss(), stage.rule_pairs()))
        run.note(f"P11: {done:,} users, {total:,} events, {rss[-1][2]:,} pairs, {rss[-1][1] / 2**20:.0f} MiB, "
                 f"{time.monotonic() - begin:.0f} s")
    # The same users again: nobody new, so that only growth over time remains.
    again = min(step, users)
    for turn in range(4):
        stream((users - again) * turn // 4, again)
        rss.append((users + (turn + 1) * again, stage.daemon_peak_rss(), stage.rule_pairs()))
    return {"events": total, "rss": rss}


def memory(stage):
    """Bytes of Redis a user, with and without what Redis adds to the state, and an item."""
    client, redis = stage.client(), stage.redis()
    info = client.info()
    owned = partitions(info)
    users = sum(int(part["users"]) for part in owned)
    sizes, cursor = {}, None
    while cursor != b"0":
        cursor, keys = redis.ask("SCAN", cursor or 0, "COUNT", 1000)
        for key in keys:
            sizes[key.decode()] = redis.ask("MEMORY", "USAGE", key, "SAMPLES", 1000)
    return {"users": users, "blobs": sum(int(part["bytes"]) for part in owned) / users,
            "user": sum(size for key, size in sizes.items() if ":users" in key) / users, "items": int(info["items"]),
            "item": sum(size for key, size in sizes.items() if ":items" in key) / max(1, int(info["items"]))}


def recovery(stage, settings):
    """kill -9 and up again, against a Redis that loads the same data from its own file."""
    client = stage.client()
    before = client.patiently("DIGEST")
    client.close()
    stage.stop_daemon(signal.SIGKILL)
    owning = stage.start_daemon(settings)
    client = stage.client()
    replayed, after = int(client.info()["events_applied"]), client.patiently("DIGEST")
    client.close()
    stage.redis().ask("SAVE")
    dump, folder = stage.path("dump.rdb"), stage.path("copy")
    os.mkdir(folder)
    shutil.copy(dump, folder)
    return {"ready": stage.ready_seconds, "owning": owning, "redis": loaded(folder), "replayed": replayed,
            "same_digest": before == after, "differs": difference(before, after),
            "dump": os.path.getsize(dump)}


def difference(before, after):
    """What two digests disagree in: the statistics, or partitions, which may also be missing."""
    before, after = fields(before), fields(after)
    parts = [{fields(part)[b"partition"]: part for part in reply[b"partitions"]} for reply in (before, after)]
    return {"statistics": before[b"statistics"] != after[b"statistics"],
            "missing_before": sorted(parts[1].keys() - parts[0].keys()),
            "missing_after": sorted(parts[0].keys() - parts[1].keys()),
            "changed": sorted(name for name in parts[0].keys() & parts[1].keys() if parts[0][name] != parts[1][name])}


def fields(reply):
    """A map as RESP2 writes it: name, value, name, value."""
    return dict(zip(reply[::2], reply[1::2]))


def loaded(folder):
    """Seconds that Redis says it needs for the file in a folder."""
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--save", "", "--dir",
                           folder], stdout=subprocess.PIPE, text=True) as redis:
        for line in redis.stdout:
            if found := re.search(r"DB loaded from disk: ([0-9.]+) seconds", line):
                break
            if "Ready to accept" in line:
                break
        redis.terminate()
    return float(found.group(1)) if found else float("nan")
