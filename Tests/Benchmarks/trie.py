"""P8: masked next-token step and TCA4Rec targets of one example, beside PyTorch's scatter over a dense vocabulary.

    MILLRACE_BENCHMARKS=1 swift build -c release --product TrieBenchmark
    python3 Tests/Benchmarks/trie.py <TrieBenchmark> <item.csv of the Office split>    # needs torch, tokenizers

Titles are encoded by a byte-level BPE of 4 000 tokens trained on them. The peers do what the published code does, one thread, no
autograd: "lists" keeps the items of a node in Python lists as the release does, "tensors" has them ready as tensors.
"""

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

TOKENS_MAX, BEAM = 16, 20


def encode(file):
    with open(file, newline="", encoding="utf-8") as rows:
        titles = [r["title"] for r in csv.DictReader(rows) if r["title"] and "!\"#$%&" not in r["title"]]
    titles = [t.lower() for t in titles]
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel()
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(titles, trainers.BpeTrainer(
        vocab_size=3999, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return [[t + 1 for t in bpe.encode(title).ids[:TOKENS_MAX]] + [0] for title in titles]


def median(rounds, body):
    times = []
    for number in range(rounds):
        start = time.perf_counter_ns()
        body(number)
        times.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(times)


class Peer:
    """The trie as nodes with parallel tensors (next token, item), as the release keeps them in lists."""

    def __init__(self, paths):
        self.nodes = {}
        for item, path in enumerate(paths):
            for depth in range(len(path)):
                self.nodes.setdefault(tuple(path[:depth]), ([], []))
                tokens, items = self.nodes[tuple(path[:depth])]
                tokens.append(path[depth])
                items.append(item)
        self.lists = self.nodes
        self.nodes = {k: (torch.tensor(t), torch.tensor(i)) for k, (t, i) in self.nodes.items()}
        self.legal = {k: torch.unique(t) for k, (t, _) in self.nodes.items()}

    def targets(self, path, scores, vocabulary, nodes):
        rows = []
        for depth in range(len(path)):
            tokens, items = (torch.as_tensor(x) for x in nodes[tuple(path[:depth])])
            share = torch.softmax(scores[items], dim=0)
            rows.append(torch.zeros(vocabulary).scatter_add_(0, tokens, share))
        return torch.stack(rows)

    def step(self, prefixes, logits):
        mask = torch.full_like(logits, float("-inf"))
        for row, prefix in enumerate(prefixes):
            mask[row, self.legal[prefix]] = 0
        return torch.log_softmax(logits + mask, dim=1)


def main(program, file):
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    paths = encode(file)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as out:
        out.write("\n".join(" ".join(map(str, p)) for p in paths) + "\n")
        out.flush()
        ours = json.loads(subprocess.run([program, out.name, "4000"], check=True, capture_output=True).stdout)
    print(json.dumps(ours, indent=1))
    peer = Peer(paths)
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(len(paths), generator=generator)
    branching = [[p[:d] for d in range(len(p)) if len(peer.legal[tuple(p[:d])]) > 1] for p in paths]
    print(f"{len(paths)} items, {sum(map(len, paths)) / len(paths):.1f} tokens, "
          f"{sum(map(len, branching)) / len(paths):.2f} branching, root {len(peer.legal[()])} children")
    chosen = [branching[i * len(paths) // BEAM] for i in range(BEAM)]
    prefixes = [tuple(b[len(b) // 2]) for b in chosen]
    for vocabulary in (4000, 128256):
        def run(nodes):
            return median(200, lambda n: peer.targets(paths[n * 997 % len(paths)], scores, vocabulary, nodes))

        targets, lists = run(peer.nodes), run(peer.lists)
        logits = torch.randn(BEAM, vocabulary, generator=generator)
        beam = median(300, lambda n: peer.step(prefixes, logits))
        root = median(300, lambda n: peer.step([()], logits[:1]))
        for name, theirs, mine in [("targets (lists)", lists, ours["targets_full"]),
                                   ("targets (tensors)", targets, ours["targets_full"]),
                                   ("targets, 64 kept", targets, ours["targets_kept"]),
                                   ("step, beam of 20", beam, ours["step_beam"]),
                                   ("step, root", root, ours["step_root"])]:
            print(f"V {vocabulary:6}  {name:22} torch {theirs:9.1f} us   ours {mine:8.2f} us   {theirs / mine:7.1f} x")


main(*sys.argv[1:])
