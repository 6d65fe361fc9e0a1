"""Writes alignment.json: TCA4Rec's token distributions and losses, in PyTorch and float64.

Distributions are computed the way the published algorithm says: at each prefix of the target collect the items that
begin with it, softmax of their scores over that set alone, scatter-add by next token into a vector of the vocabulary.
Losses are written on those vectors and differentiated by autograd.

    python3 Tests/Fixtures/generate_alignment.py      # PyTorch 2.13; writes beside itself and into manifest.json
"""

import hashlib
import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)
VOCABULARY, END = 10, 0
folder = pathlib.Path(__file__).parent


def distributions(paths, scores, gold, beta):
    rows = []
    for depth in range(len(paths[gold])):
        prefix = paths[gold][:depth]
        below = [i for i, p in enumerate(paths) if p[:depth] == prefix and len(p) > depth]
        share = torch.softmax(scores[below] / beta, dim=0)
        row = torch.zeros(VOCABULARY)
        row.scatter_add_(0, torch.tensor([paths[i][depth] for i in below]), share)
        rows.append(row)
    return torch.stack(rows)


def legal(paths, prefix):
    depth = len(prefix)
    return sorted({p[depth] for p in paths if p[:depth] == prefix and len(p) > depth})


def losses(paths, gold, q, logits, loss, masked, alpha, tau):
    z = logits.clone().requires_grad_()
    total = torch.zeros(())
    for depth, token in enumerate(paths[gold]):
        row = z[depth] / tau
        if masked:
            mask = torch.full((VOCABULARY,), float("-inf"))
            mask[legal(paths, paths[gold][:depth])] = 0
            row = row + mask
        logp = torch.log_softmax(row, dim=0)
        label = alpha * q[depth]
        label[token] += 1 - alpha
        on = label > 0
        if loss == "logOfExpectation":
            total = total - torch.logsumexp(label[on].log() + logp[on], dim=0)
        else:
            total = total - (label[on] * logp[on]).sum()
    total.backward()
    return total.item(), z.grad


def numbers(tensor):
    return [float(f"{x:.12g}") for x in tensor.flatten().tolist()]


def main():
    cases = []
    for seed in range(4):
        g = torch.Generator().manual_seed(seed)
        count = 14
        paths = []
        for _ in range(count):
            length = int(torch.randint(1, 5, (1,), generator=g))
            wide = 9 if torch.rand((), generator=g) < 0.4 else 3
            paths.append([int(x) for x in torch.randint(1, wide, (length,), generator=g)] + [END])
        paths[5] = list(paths[4])  # one text, two items
        # Scores are float32 in the daemon; the last cases put nearly all mass on a far branch.
        spread = [1.0, 3.0, 60.0, 900.0][seed]
        scores = (torch.randn(count, generator=g) * spread).float().double()
        gold = 4 if seed == 0 else int(torch.argmin(scores))
        beta = [1.0, 2.0, 1.0, 1.0][seed]
        q = distributions(paths, scores, gold, beta)
        logits = (torch.randn(len(paths[gold]), VOCABULARY, generator=g) * 2).float().double()
        runs = []
        for loss in ["logOfExpectation", "softCrossEntropy"]:
            for masked, tau in [(True, 4.5), (True, 1.0), (False, 1.0)]:
                for alpha in [0.0, 0.1, 1.0]:
                    value, grad = losses(paths, gold, q, logits, loss, masked, alpha, tau)
                    runs.append({"loss": loss, "masked": masked, "tau": tau, "alpha": alpha,
                                 "value": value, "gradient": numbers(grad)})
        cases.append({"paths": paths, "scores": numbers(scores), "gold": gold, "beta": beta,
                      "distributions": numbers(q), "logits": numbers(logits), "runs": runs})
    target = folder / "alignment.json"
    target.write_text(json.dumps({"vocabulary": VOCABULARY, "end": END, "cases": cases},
                                 separators=(",", ":")) + "\n")
    record(target)


def record(target):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) if path.exists() else {"files": []}
    entry = {"path": target.name, "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
             "generator": pathlib.Path(__file__).name}
    files = [f for f in manifest["files"] if f["path"] != target.name] + [entry]
    manifest["files"] = sorted(files, key=lambda f: f["path"])
    path.write_text(json.dumps(manifest, indent=2) + "\n")


main()
