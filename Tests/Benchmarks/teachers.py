"""P9: what teachers cost, beside scipy and implicit on the same histories, and by size of the catalogue."""

import json
import os
import tempfile

import charts
from page import Unavailable
from programs import output, peer_figures

# Where both sides are measured, and where the rules have their goal.
COMPARED, RULES = 5_000, 10_000
NAMES = {"ease:dense-mib=0": "ease, neighbours", "ease": "ease, dense"}
CHARTS = [("solve", "solve", 1, "Solving anew", "processor seconds"),
          ("scores", "p50_us", 1, "Scores of one user", "us, median"),
          ("stored", "stored", 1e6, "The model, as it is stored", "MB")]


def teachers(run, part):
    program = run.program("TeacherCosts")
    sizes = {1_000: ["rules", "item-knn", "ease", "ease:dense-mib=0", "als"],
             COMPARED: ["rules", "item-knn", "ease", "ease:dense-mib=0", "als"],
             RULES: ["rules", "item-knn", "ease", "ease:dense-mib=0", "als"],
             100_000: ["rules", "item-knn", "ease:dense-mib=0"] + (["als"] if run.large else [])}
    found, theirs, why = {}, None, ""
    with tempfile.TemporaryDirectory() as folder:
        histories = os.path.join(folder, "histories")
        for items, names in sizes.items():
            lines = output([program, items, *names, "--histories", histories])[0].splitlines()
            found[items] = {line["teacher"]: line for line in map(json.loads, lines) if "teacher" in line}
            run.note(f"P9: {items:,} items: " + ", ".join(
                f"{name} {line['solve']:.2f} s" for name, line in found[items].items()))
            if items == COMPARED:
                try:
                    theirs = peer_figures(run, "teachers.py", histories)
                except Unavailable as reason:
                    why = str(reason)
    compared(part, found[COMPARED], theirs, why)
    late = found[RULES]["rules"]["p99_us"] / 1_000
    part.row(f"rules, scores of a user over {RULES:,} items", "absolute",
             f"p50 {found[RULES]['rules']['p50_us'] / 1_000:.3f} ms, p99 {late:.3f} ms", "p99 <= 0.3 ms", late <= 0.3)
    for name, figure, unit, title, label in CHARTS:
        series = {}
        for items, lines in found.items():
            for teacher, line in lines.items():
                # What is live is never solved and never stored.
                if line["stored"] > 0 or figure == "p50_us":
                    series.setdefault(NAMES.get(teacher, teacher), []).append((items, line[figure] / unit))
        part.chart(f"teachers-{name}", charts.curves(title, "items", label, list(series.items())),
                   f"{title[0].lower()}{title[1:]}, by size of the catalogue")


def compared(part, ours, theirs, why):
    ease, als = f"EASE, solve over {COMPARED:,} items", f"ALS, ten sweeps of 64 factors over {COMPARED:,} items"
    if theirs is None:
        for what in (ease, als):
            part.row(what, "scipy, implicit", f"not measured: {why}", ">= 1 x", None)
        return
    solve, sweeps = ours["ease"]["solve"], ours["als"]["solve"]
    same = theirs["ease"] or theirs["ease_scipy"]
    part.row(ease, f"numpy with the same OpenBLAS ({same:.2f} s; with scipy's own {theirs['ease_scipy']:.2f} s)",
             f"{solve:.2f} s = {same / solve:.2f} x", ">= 1 x", same >= solve)
    for name, how in (("als_cholesky", "exact, by Cholesky"), ("als_cg", "approximate, by conjugate gradients")):
        part.row(als, f"implicit, {how} ({theirs[name]:.2f} s)", f"{sweeps:.2f} s, exact = {theirs[name] / sweeps:.2f} x",
                 ">= 1 x", theirs[name] >= sweeps)
