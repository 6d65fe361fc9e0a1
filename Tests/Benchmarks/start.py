"""P13: from a clean clone to the first recommendation by the README's first command, and the size of the program."""

import os
import shutil
import subprocess
import tempfile
import time

from page import ROOT, Unavailable


def start(run, part):
    folder = tempfile.mkdtemp(prefix="millrace-clone.")
    try:
        subprocess.run(["git", "clone", "-q", ROOT, f"{folder}/millrace"], check=True)
        spent, built = first_list(f"{folder}/millrace", f"{folder}/log", run.note)
        binary = f"{folder}/millrace/.build/release/millrace"
        whole, stripped = os.path.getsize(binary), f"{folder}/stripped"
        subprocess.run(["strip", "-o", stripped, binary], check=True)
        small = os.path.getsize(stripped)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    part.row("clean clone to first recommendation: git clone, make demo (Debian's packages are installed already)", "absolute",
             f"{spent / 60:.1f} min, of which {built / 60:.1f} until the program runs", "<= 10 min", spent <= 600)
    part.row("the program, with Swift's libraries in it", "absolute",
             f"{small / 1e6:.0f} MB without symbols; {whole / 1e6:.0f} MB as built, with what profilers and backtraces read",
             "<= 60 MB", small <= 60e6)


def first_list(clone, log, note):
    """Seconds until the demo shows a list, and until its program has begun."""
    begin, built = time.monotonic(), None
    with open(log, "w") as errors:
        demo = subprocess.Popen(["make", "demo"], cwd=clone, stdout=subprocess.PIPE, stderr=errors, text=True,
                                stdin=subprocess.DEVNULL, start_new_session=True)
        for line in demo.stdout:
            if "●" in line and built is None:
                built = time.monotonic() - begin
                note(f"P13: built after {built:.0f} s")
            if "REC.GET" in line:
                break
        else:
            demo.wait()
            with open(log) as file:
                raise Unavailable(f"make demo ended with {demo.returncode} before it showed a list: {file.read()[-300:]}")
        spent = time.monotonic() - begin
        demo.stdout.read()
        demo.wait()
    return spent, built
