"""The protocol of Redis and of the daemon, and what the daemon says of itself in it."""

import socket
import time

PATIENCE_SECONDS = 120


class Resp:
    """A RESP2 connection: requests out, replies in, pipelining allowed."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.reader = self.socket.makefile("rb", buffering=1 << 16)

    @staticmethod
    def encode(*words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        return b"".join(parts)

    def send(self, *words):
        self.socket.sendall(self.encode(*words))

    def reply(self):
        line = self.reader.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self.reader.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))] if int(rest) >= 0 else None
        return rest

    def ask(self, *words):
        self.send(*words)
        return self.reply()

    def patiently(self, *words):
        """`ask`, again while the server is too busy."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.ask(*words)
            except RuntimeError as error:
                if not str(error).startswith(("TIMEOUT", "BUSY")) or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def info(self):
        fields = {}
        for line in self.patiently("INFO", "everything").decode().splitlines():
            name, colon, value = line.partition(":")
            if colon:
                fields[name] = value
        return fields

    def close(self):
        self.reader.close()
        self.socket.close()


def named(reply):
    """A map, which RESP2 tells as names and values in turn."""
    return dict(zip(reply[::2], reply[1::2]))


def partitions(info):
    """The fields of every owned partition."""
    return [
        dict(part.split("=", 1) for part in value.split(","))
        for name, value in info.items()
        if name.startswith("partition_")
    ]


def committed(info):
    return sum(max(0, int(part["committed"])) for part in partitions(info))
