"""P5 to P8: the decoder forward and in training, a user's state in the model, the trie; beside PyTorch, one thread each."""

import csv
import json
import os
import tempfile

import charts
import loads
from programs import figures, peer, peer_figures
from stage import median

TURNS = 3
DECODER = "decoder of 5 M parameters (4 layers, width 256), f32, one thread"


def by_turns(run, what, rounds):
    """Middle figures of DecoderBenchmark and of peers/decoder.py, which take turns, on the same weights."""
    program = run.program("DecoderBenchmark")
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        peer(run, "decoder.py", "make", folder)
        for _ in range(TURNS):
            theirs.append(peer_figures(run, "decoder.py", what, folder, rounds))
            ours.append(figures([program, what, folder, rounds]))
    return [{name: [found[name] for found in kind][0] if isinstance(kind[0][name], list)
             else median([found[name] for found in kind]) for name in kind[0]} for kind in (ours, theirs)]


def forward(run, part):
    ours, theirs = by_turns(run, "serve", 15)
    apart = max(abs(a - b) for a, b in zip(ours["scores"], theirs["scores"]))
    if ours["best"] != theirs["best"] or apart > 1e-2:
        raise RuntimeError(f"PyTorch computes something else: {ours['best']}, {theirs['best']}, scores {apart} apart")
    for name, what, goal in (
            ("prefill", f"prefill of 64 tokens, {DECODER}", 1.2),
            ("candidates", "50 candidates of 8 tokens after it, in one batch", 1.2),
            ("step", "one more token", None)):
        ratio = theirs[name] / ours[name]
        part.row(what, f"PyTorch, transformers ({theirs[name]:.2f} ms)", f"{ours[name]:.2f} ms = {ratio:.2f} x",
                 f">= {goal} x" if goal else "-", goal and ratio >= goal)


def training(run, part):
    ours, theirs = by_turns(run, "train", 10)
    if abs(ours["loss"] - theirs["loss"]) > 1e-3:
        raise RuntimeError(f"losses differ: {ours['loss']}, {theirs['loss']}")
    rate, other = (1_000 * found["tokens"] / found["training"] for found in (ours, theirs))
    part.row(f"training step of an adapter of rank 8, 8 x 64 tokens, {DECODER}", f"PyTorch, peft ({other:,.0f} tokens/s)",
             f"{rate:,.0f} tokens/s = {rate / other:.2f} x", ">= 1.5 x", rate >= 1.5 * other)
    whole, other = ours["peak"], theirs["peak"]
    part.row("peak memory of the process that trains", f"PyTorch, peft ({other / 2**20:.0f} MiB)",
             f"{whole / 2**20:.0f} MiB = {whole / other:.2f} x", "<= 0.5 x", whole <= 0.5 * other)
    grown, other = (found["peak"] - found["before"] for found in (ours, theirs))
    part.row("of that, what the steps take beyond libraries and loaded weights", f"PyTorch, peft ({other / 2**20:.0f} MiB)",
             f"{grown / 2**20:.0f} MiB = {grown / other:.2f} x", "<= 0.5 x", grown <= 0.5 * other)


def appending(run, part):
    found = figures([run.program("ModelCosts")])
    lengths = (10, 100, 1_000, 10_000)
    points = [(length, found[f"append {length}"]) for length in lengths]
    ratio = points[-1][1] / points[0][1]
    part.row("one event appended to a user's state in the model", f"the same window of {found['window']:.0f} computed anew "
             f"({found['anew']:.0f} us)", f"{points[0][1]:.1f} us at 10 events, {points[-1][1]:.1f} us at 10 000 = {ratio:.2f} x",
             "<= 1.2 x", ratio <= 1.2)
    part.chart("append", charts.curves("One event appended, by length of the history", "events in the history", "us", [
        ("appended", points), ("computed anew", [(length, found["anew"]) for length in lengths if length >= found["window"]])]),
        "one event appended to a user's state, beside computing the window anew")
    part.chart("model-scores", charts.curves("Scores of the whole catalogue for one user", "items", "us", [
        ("item head", [(count, found[f"scores {count}"]) for count in (1_000, 10_000, 100_000)])]),
        "the item head alone by size of the catalogue; a new item's vector takes "
        f"{found['vector']:.0f} us, the token head on 50 candidates {found['likelihoods of 50']:.0f} us")


def trie(run, part):
    program = run.program("TrieBenchmark")
    with tempfile.TemporaryDirectory() as folder:
        source = titles(run, folder)
        found = json.loads(peer(run, "trie.py", program, f"{folder}/titles.txt"))
    what = f"{found['items']} titles ({source}), {found['tokens']:.1f} tokens each"
    for by in sorted(found["by"], key=lambda by: -by["vocabulary"]):
        ours, size = by["ours"], f"a vocabulary of {by['vocabulary']:,} tokens"
        for name, theirs, mine, against in (
                (f"masked next-token step, beam of 20, {what}, {size}", by["beam"], ours["step_beam"], "mask and softmax"),
                (f"TCA4Rec's targets of one example, {size}", by["lists"], ours["targets_full"], "scatter, as released"),
                ("the same", by["tensors"], ours["targets_full"], "scatter, every node's items ready as tensors")):
            part.row(name, f"PyTorch over the whole vocabulary: {against} ({theirs:,.0f} us)",
                     f"{mine:,.1f} us = {theirs / mine:,.0f} x", ">= 50 x", theirs >= 50 * mine)


def titles(run, folder):
    """Writes titles, a line each: of the Office split where it is, else of a simulated shop. Returns whose."""
    office = run.office()
    if office:
        with open(office, newline="", encoding="utf-8") as rows:
            found = [row["title"] for row in csv.DictReader(rows) if row["title"] and "!\"#$%&" not in row["title"]]
    else:
        loads.simulated(run.binary, f"{folder}/sim", 100, 10_000, 1_000)
        with open(f"{folder}/sim/items.jsonl") as lines:
            found = [json.loads(line)["title"] for line in lines]
    with open(os.path.join(folder, "titles.txt"), "w") as file:
        file.writelines(" ".join(title.split()) + "\n" for title in found)
    return "Office" if office else "simulated"
