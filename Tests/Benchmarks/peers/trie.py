"""P8 in PyTorch: the masked next-token step and TCA4Rec's targets of one example by scatter over a dense vocabulary,
beside what TrieBenchmark needs for them.

    trie.py TRIE_BENCHMARK TITLES    # a title a line; prints a JSON object

Titles are encoded by a byte-level BPE of 4 000 tokens trained on them. The peers do what the published code does, one
thread, no autograd: "lists" keeps the items of a node in Python lists as the release does, "tensors" has them ready.
"""

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
    with open(file, encoding="utf-8") as lines:
        titles = [line.strip().lower() for line in lines]
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
    peer = Peer(paths)
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(len(paths), generator=generator)
    branching = [[p[:d] for d in range(len(p)) if len(peer.legal[tuple(p[:d])]) > 1] for p in paths]
    chosen = [branching[i * len(paths) // BEAM] for i in range(BEAM)]
    prefixes = [tuple(b[len(b) // 2]) for b in chosen]
    found = {"items": len(paths), "tokens": sum(map(len, paths)) / len(paths), "children": len(peer.legal[()]), "by": []}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as out:
        out.write("\n".join(" ".join(map(str, p)) for p in paths) + "\n")
        out.flush()
        for vocabulary in (4_000, 128_256):
            ours = json.loads(subprocess.run([program, out.name, str(vocabulary)], check=True, capture_output=True).stdout)
            logits = torch.randn(BEAM, vocabulary, generator=generator)

            def targets(nodes):
                return median(200, lambda n: peer.targets(paths[n * 997 % len(paths)], scores, vocabulary, nodes))

            found["by"].append({
                "vocabulary": vocabulary, "ours": ours, "lists": targets(peer.lists), "tensors": targets(peer.nodes),
                "beam": median(300, lambda n: peer.step(prefixes, logits)),
                "root": median(300, lambda n: peer.step([()], logits[:1]))})
    print(json.dumps(found))


main(*sys.argv[1:])
