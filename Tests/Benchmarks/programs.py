"""Programs that a part runs for their figures: ours, and those of the Python that has the libraries beside them."""

import json
import os
import re
import subprocess
import tempfile

from page import Unavailable

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
# One thread each, on both sides; nothing is looked up elsewhere.
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def output(words):
    """What a program printed, and the most memory it held, in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(list(map(str, words)), stdout=out, stderr=errors, env={**os.environ, **ALONE})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if child.returncode != 0:
            said = errors.read()
            if missing := re.search(r"No module named '([^']+)'", said):
                raise Unavailable(f"{words[0]} has no {missing[1]}")
            raise RuntimeError(f"{' '.join(map(str, words))}: {child.returncode}: {said[-2000:]}")
        return out.read(), usage.ru_maxrss * 1024


def peer(run, script, *words):
    """What a script of peers/ printed."""
    return output([run.python, os.path.join(PEERS, script), *words])[0]


def figures(words):
    """The JSON object that a program printed, with its peak memory."""
    text, peak = output(words)
    return {**json.loads(text), "peak": peak}


def peer_figures(run, script, *words):
    return figures([run.python, os.path.join(PEERS, script), *words])
