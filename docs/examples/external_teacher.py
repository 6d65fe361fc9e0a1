"""Publishes item and user vectors for Millrace's `external` teacher: the contract is in docs/teachers.md.

    python docs/examples/external_teacher.py redis://localhost:6379/0

The vectors here are drawn; yours come from your own model.
"""
import struct
import sys
import time


def vector_record(version, vector):
    return struct.pack(f"<cBBQH{len(vector)}f", b"X", 1, 1, version, len(vector), *vector)


def list_record(version, items):
    """`items` are (item id, score), best first, at most 1 000."""
    record = struct.pack("<cBBQH", b"X", 1, 2, version, len(items))
    for item, score in items:
        name = item.encode()
        record += struct.pack(f"<H{len(name)}sf", len(name), name, score)
    return record


def publish(redis, prefix, version, items, users):
    """Items and users are dictionaries of id to vector, all of one length."""
    root = prefix + ":{external}"
    with redis.pipeline(transaction=False) as pipe:
        for kind, vectors in (("items", items), ("users", users)):
            for name, vector in vectors.items():
                pipe.hset(f"{root}:{kind}:{version}", name, vector_record(version, vector))
        pipe.execute()
    before = redis.hget(f"{root}:meta", "version")
    # One command: readers see all of the old publication or all of the new one.
    redis.hset(f"{root}:meta", mapping={"format": 1, "version": version, "kind": "vectors"})
    if before and int(before) != version:
        for kind in ("items", "users"):
            redis.expire(f"{root}:{kind}:{int(before)}", 60)


if __name__ == "__main__":
    import random

    import redis as client

    draw = lambda: [random.gauss(0, 1) for _ in range(16)]
    publish(
        client.Redis.from_url(sys.argv[1]), "millrace", int(time.time()),
        {f"i{n}": draw() for n in range(100)}, {f"u{n}": draw() for n in range(10)})
