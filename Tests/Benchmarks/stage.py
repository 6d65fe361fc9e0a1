"""A private Redis, broker and daemon for the benchmarks, and statistics of what they say."""

import csv
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from resp import Resp, committed

PARTITIONS = 16
# The development broker keeps 5 MiB a partition: this many events of ours never overflow it.
CHUNK_EVENTS = 300_000
# And this many item records, which lie in one partition.
CHUNK_ITEMS = 20_000


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def spread(values):
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "count": len(values)}


def median(values):
    return statistics.median(values)


def wait_for(what, condition, seconds=300, interval=0.01):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(interval)
    raise TimeoutError(f"{seconds} s have passed and still not: {what}")


class Stage:
    """Redis and a broker from the start, or those of another stage; the daemon when asked."""

    def __init__(self, binary, partitions=PARTITIONS, beside=None):
        self.binary, self.partitions = binary, partitions
        self.folder = tempfile.mkdtemp(prefix="millrace-bench.")
        self.children = []
        self.daemon = None
        self.socket_path = self.path("millrace.sock")
        if beside:
            self.redis_path, self.brokers = beside.redis_path, beside.brokers
            return
        self.redis_path = self.path("redis.sock")
        self.start_redis(self.redis_path, self.folder)
        broker = self.spawn(
            [binary, "broker", "--with-parent", "--topic", f"interactions:{partitions}",
             "--topic", "items:1", "--topic", "millrace-dead-letters:1"],
            "broker.log", stdout=subprocess.PIPE)
        self.brokers = broker.stdout.readline().decode().strip()

    def path(self, name):
        return os.path.join(self.folder, name)

    def spawn(self, words, log, **options):
        options.setdefault("stdout", open(self.path(log), "ab"))
        child = subprocess.Popen(words, stderr=open(self.path(log), "ab"), **options)
        self.children.append(child)
        return child

    def start_redis(self, path, folder):
        child = self.spawn(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "",
             "--appendonly", "no", "--dir", folder], "redis.log")
        wait_for("Redis accepts connections", lambda: os.path.exists(path))
        wait_for("Redis is loaded", lambda: self.answers(path))
        return child

    @staticmethod
    def answers(path):
        try:
            client = Resp(path)
            pong = client.ask("PING") == b"PONG"
            client.close()
            return pong
        except (OSError, RuntimeError):
            return False

    def redis(self):
        return Resp(self.redis_path)

    def client(self):
        return Resp(self.socket_path)

    def start_daemon(self, settings="", kafka="", wait="ready", fetch_wait=5, **variables):
        """`fetch_wait`: the development broker wakes no waiting fetch, so this is how often the daemon asks it, in
        milliseconds; every fetch costs all who share the processors."""
        with open(self.path("millrace.yaml"), "w") as file:
            file.write(f"""
kafka:
  brokers: [{json.dumps(self.brokers)}]
  instance-id: {os.path.basename(self.folder)}
  librdkafka: {{fetch.wait.max.ms: "{fetch_wait}", session.timeout.ms: "6000"}}
  {kafka}
redis: {{address: "unix:{self.redis_path}"}}
socket: {{path: "{self.socket_path}"}}
operations: {{path: "{self.path('operations.sock')}"}}
{settings}""")
        started = time.monotonic()
        self.daemon = self.spawn(
            [self.binary, "serve", "--config", self.path("millrace.yaml")], "daemon.log",
            env={**os.environ, **variables})
        if wait == "ready":
            wait_for("the daemon answers READY", self.is_serving, interval=0.005)
            self.ready_seconds = time.monotonic() - started
            wait_for("the daemon owns its partitions", self.is_ready, interval=0.005)
        return time.monotonic() - started

    def is_serving(self):
        info = self.try_info()
        return info and info.get("state") == "ready"

    def is_ready(self):
        if self.daemon.poll() is not None:
            raise RuntimeError(open(self.path("daemon.log")).read()[-2000:])
        info = self.try_info()
        return info and info.get("state") == "ready" and info.get("partitions_owned") == str(
            self.partitions)

    def try_info(self):
        try:
            client = self.client()
            info = client.info()
            client.close()
            return info
        except (OSError, RuntimeError):
            return None

    def stop_daemon(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait(30)
        self.daemon = None

    def catalogue(self, path):
        """Streams item records in, in pieces that the broker keeps, until the daemon knows them all."""
        with open(path) as file:
            lines = file.readlines()
        for at in range(0, len(lines), CHUNK_ITEMS):
            with open(self.path("piece"), "w") as file:
                file.writelines(lines[at:at + CHUNK_ITEMS])
            self.produce("items", self.path("piece"))
            known = len({line.split("\t", 1)[0] for line in lines[:at + CHUNK_ITEMS]})
            wait_for(f"{known} items are known", lambda: int(self.try_info()["items"]) >= known)

    def kcat(self, *words, **options):
        return subprocess.Popen(["kcat", "-b", self.brokers, *words], **options)

    def produce(self, topic, path):
        """Keyed records, one a line, key and payload apart by a tab."""
        words = ["-P", "-t", topic, "-K", "\t", "-X", "partitioner=murmur2_random", "-l", path]
        if self.kcat(*words).wait() != 0:
            raise RuntimeError(f"kcat could not produce {path}")

    def wait_committed(self, count, interval=0.01):
        client = self.client()
        wait_for(f"{count} events are durable", lambda: committed(client.info()) >= count,
                 interval=interval)
        client.close()

    def daemon_seconds(self):
        """CPU seconds the daemon has used."""
        with open(f"/proc/{self.daemon.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def daemon_thread_seconds(self):
        """CPU seconds by the name of the thread; threads of one name are added up."""
        seconds = {}
        for task in glob.glob(f"/proc/{self.daemon.pid}/task/*/stat"):
            with open(task) as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            seconds[name] = seconds.get(name, 0) + spent
        return seconds

    def daemon_rss(self):
        return self.daemon_status("VmRSS")

    def daemon_peak_rss(self):
        """The most since the last call: a fit or a checkpoint takes room for a moment."""
        peak = self.daemon_status("VmHWM")
        with open(f"/proc/{self.daemon.pid}/clear_refs", "w") as file:
            file.write("5")
        return peak

    def daemon_status(self, field):
        with open(f"/proc/{self.daemon.pid}/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def rule_pairs(self):
        client = self.client()
        pairs = int(client.info()["rule_pairs"])
        client.close()
        return pairs

    def close(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def redis_benchmark(path, words, requests, connections=16, pipeline=1, keyspace=None):
    """One test of redis-benchmark: requests/s and latencies in ms."""
    command = ["redis-benchmark", "-s", path, "-n", str(requests), "-c", str(connections),
               "-P", str(pipeline), "--csv"]
    if keyspace:
        command += ["-r", str(keyspace)]
    output = subprocess.run(command + words, check=True, capture_output=True, text=True).stdout
    values = [float(cell) for cell in list(csv.reader(output.splitlines()))[-1][1:]]
    return {"rps": values[0], "mean": values[1], "p50": values[3], "p95": values[4],
            "p99": values[5]}
