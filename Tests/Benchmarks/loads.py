"""What is streamed: a simulated or recorded log with user ids that redis-benchmark can make up."""

import json
import os
import random
import subprocess


def user_name(number):
    """The form in which redis-benchmark writes u__rand_int__."""
    return "u%012d" % number


def simulated(binary, folder, users, items, events):
    subprocess.run([binary, "simulate", "--users", str(users), "--items", str(items), "--events",
                    str(events), "--events-per-day", str(max(1000, events // 3)),
                    "--out", folder], check=True, capture_output=True)


def keyed(folder, out):
    """Rewrites a log of events.jsonl and items.jsonl as keyed lines; returns its measures."""
    numbers = {}
    count = size = 0
    with open(f"{folder}/events.jsonl") as source, open(f"{out}.events", "w") as target:
        for line in source:
            event = json.loads(line)
            number = numbers.setdefault(event["user"], len(numbers))
            event["user"] = user_name(number)
            text = json.dumps(event, separators=(",", ":"))
            target.write(f"{event['user']}\t{text}\n")
            count += 1
            size += len(text) + len(event["user"])
    items = set()
    with open(f"{folder}/items.jsonl") as source, open(f"{out}.items", "w") as target:
        for line in source:
            item = json.loads(line)
            item.pop("ts", None)
            target.write(f"{item['id']}\t{json.dumps(item, ensure_ascii=False)}\n")
            items.add(item["id"])
    return {"events": count, "users": len(numbers), "items": len(items), "bytes": size / count}


def moved(source, folder, end):
    """The log of `source` in `folder`, its times moved so that the last event happens at `end`, in ms since 1970."""
    with open(f"{source}/events.jsonl") as file:
        events = [json.loads(line) for line in file]
    shift = end - max(event["ts"] for event in events)
    with open(f"{folder}/events.jsonl", "w") as file:
        for event in events:
            event["ts"] += shift
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
    if source != folder:
        with open(f"{source}/items.jsonl") as items, open(f"{folder}/items.jsonl", "w") as file:
            file.write(items.read())


def streamed(run, stage):
    """The recorded log, or a simulated one, in the topics of a stage: its measures with the folder, and its name."""
    folder = run.recorded() or stage.path("sim")
    if not run.recorded():
        simulated(run.binary, folder, 20_000, 10_000, 200_000)
    log = keyed(folder, stage.path("log"))
    stage.produce("items", stage.path("log.items"))
    stage.produce("interactions", stage.path("log.events"))
    return {**log, "folder": folder}, "MovieTweetings" if run.recorded() else "simulated"


def crowd(path, first_user, users, items, per_user, seed):
    """Events of many users with few events each, in random order; returns how many lines."""
    rng = random.Random(seed)
    numbers = [first_user + n for n in range(users) for _ in range(1 + int(
        rng.expovariate(1 / max(0.01, per_user - 1))))]
    rng.shuffle(numbers)
    time = 1_767_225_600_000
    with open(path, "w") as file:
        for number in numbers:
            time += 7
            user = user_name(number)
            item = int(items * rng.random() ** 3)
            file.write(f'{user}\t{{"user":"{user}","item":"i{item}","type":"view","ts":{time}}}\n')
    return len(numbers)
