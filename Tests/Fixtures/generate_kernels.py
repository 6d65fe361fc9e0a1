"""Writes kernels.json: what PyTorch makes of each kernel's inputs, and its gradients, in float64.

Run with PyTorch installed: python Tests/Fixtures/generate_kernels.py. It also brings manifest.json up to date. Inputs
are exact floats of 32 bits; the sum of output times a weight, given as `d`, is what gradients are taken of.
"""
import hashlib
import json
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
torch.manual_seed(3)


def draw(*shape, scale=1.0, grad=True):
    x = (torch.randn(*shape) * scale).to(torch.float32).to(torch.float64)
    return x.requires_grad_(grad)


def numbers(t):
    return [float(f"{v:.9g}") for v in t.detach().flatten().tolist()]


def case(output, weight, inputs):
    (output * weight).sum().backward()
    return {
        "inputs": {name: numbers(t) for name, t in inputs.items()} | {"d": numbers(weight)},
        "output": numbers(output),
        "gradients": {name: numbers(t.grad) for name, t in inputs.items() if t.grad is not None},
    }


def norm():
    x, gain, d = draw(3, 10), draw(10), draw(3, 10, grad=False)
    return case(F.rms_norm(x, (10,), gain, 1e-5), d, {"x": x, "gain": gain})


def rotary():
    positions = torch.tensor([0, 5, 131])
    x, d = draw(3, 2, 6), draw(3, 2, 6, grad=False)
    inverse = 1.0 / (10000.0 ** (torch.arange(0, 6, 2, dtype=torch.float32) / 6))
    angles = (positions.float()[:, None] * inverse[None]).double()
    cos = torch.cat((angles, angles), -1).cos()[:, None]
    sin = torch.cat((angles, angles), -1).sin()[:, None]
    turned = torch.cat((-x[..., 3:], x[..., :3]), -1)
    return case(x * cos + turned * sin, d, {"x": x})


def gated():
    gate, up, d = draw(19, scale=3), draw(19), draw(19, grad=False)
    return case(F.silu(gate) * up, d, {"gate": gate, "up": up})


def attention(rule):
    # Two sequences of segments: [2, 3, 1] and [4]; rows 0..5 and 6..9.
    sequence = torch.tensor([0] * 6 + [1] * 4)
    segment = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 3, 3])
    row = torch.arange(10)
    seen = (row[:, None] >= row[None]) & (sequence[:, None] == sequence[None])
    same = segment[:, None] == segment[None]
    mask = {"causal": seen, "intra": seen & same, "interWithSelf": seen & (~same | torch.eye(10, dtype=torch.bool))}[rule]
    q, k, v, d = draw(10, 4, 3), draw(10, 2, 3), draw(10, 2, 3), draw(10, 4, 3, grad=False)
    wide = [t.repeat_interleave(2, 1) for t in (k, v)]
    out = F.scaled_dot_product_attention(*(t.transpose(0, 1) for t in (q, *wide)), attn_mask=mask).transpose(0, 1)
    return case(out, d, {"q": q, "k": k, "v": v})


def soft_cross_entropy():
    x, targets = draw(4, 9, scale=3), torch.rand(4, 9).to(torch.float32).double()
    weights = torch.tensor([1.0, 0.5, 2.0, 0.25], dtype=torch.float64)
    loss = (F.cross_entropy(x, targets, reduction="none") * weights).sum()
    result = case(loss.reshape(1), torch.ones(1, dtype=torch.float64), {"x": x})
    result["inputs"] |= {"targets": numbers(targets), "weights": numbers(weights)}
    return result


def low_rank():
    x, w, a, b, d = draw(5, 7), draw(6, 7, grad=False), draw(2, 7), draw(6, 2), draw(5, 6, grad=False)
    return case(x @ w.T + 0.5 * (x @ a.T) @ b.T, d, {"x": x, "a": a, "b": b, "w": w})


def adamw():
    p = draw(11)
    start = numbers(p)
    optimiser = torch.optim.AdamW([p], lr=0.01, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1)
    gradients = []
    for step in range(10):
        optimiser.param_groups[0]["lr"] = 0.01 * (step + 1)
        p.grad = draw(11, grad=False)
        gradients += numbers(p.grad)
        optimiser.step()
    return {"inputs": {"parameters": start, "gradients": gradients}, "output": numbers(p), "gradients": {}}


cases = {
    "norm": norm(), "rotary": rotary(), "gated": gated(),
    "attention.causal": attention("causal"), "attention.intra": attention("intra"),
    "attention.interWithSelf": attention("interWithSelf"),
    "softCrossEntropy": soft_cross_entropy(), "lowRank": low_rank(), "adamW": adamw(),
}
data = json.dumps({"version": 1, "torch": torch.__version__, "cases": cases}, indent=None, separators=(",", ":")).encode() + b"\n"
(HERE / "kernels.json").write_bytes(data)
path = HERE / "manifest.json"
entries = json.loads(path.read_text())["files"] if path.exists() else []
entries = [e for e in entries if e["path"] != "kernels.json"]
entries.append({
    "path": "kernels.json", "sha256": hashlib.sha256(data).hexdigest(),
    "generator": "generate_kernels.py",
})
entries.sort(key=lambda e: e["path"])
path.write_text(json.dumps({"files": entries}, indent=2) + "\n")
