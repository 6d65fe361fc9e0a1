"""Writes item-model.json: one training step of the item-aware model in PyTorch, float64, without dropout.

Run with numpy and torch installed: python Tests/Fixtures/generate_item_model.py. It also brings manifest.json up to
date. The model is written as formulas here, one text and one history at a time, with autograd's gradients.
"""
import hashlib
import json
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)
VOCABULARY, WIDTH, HEADS, INNER, EPSILON = 20, 8, 2, 12, 1e-6
INTRA, INTER, GATE_HALF, ANSWER_WEIGHT = 1, 2, 3.0, 0.4
ITEMS = [[1, 5, 6, 2], [1, 5, 7, 2], [1, 5, 6, 8, 2], [1, 9, 2], [1, 9, 10, 11, 2], [1, 12, 13, 2], [1, 9, 2]]
LISTED = [1, 1, 1, 1, 1, 0, 1]
COUNTS = [0, 1, 2, 3, 50, 7, 1]
HISTORIES = [[0, 1, 2, 3], [4, 6, 0], [3, 5], [2, 2, 1]]

random = np.random.default_rng(5)
weights = {}


def add(name, *shape, mean=0.0):
    drawn = (mean + 0.4 * random.standard_normal(shape)).astype(np.float32)
    weights[name] = torch.tensor(drawn.astype(np.float64), requires_grad=True)


add("model.embed_tokens.weight", VOCABULARY, WIDTH)
for layer in range(INTRA + INTER):
    prefix = f"model.layers.{layer}."
    add(prefix + "input_layernorm.weight", WIDTH, mean=1.0)
    for name in "qkvo":
        add(f"{prefix}self_attn.{name}_proj.weight", WIDTH, WIDTH)
    add(prefix + "post_attention_layernorm.weight", WIDTH, mean=1.0)
    add(prefix + "mlp.gate_proj.weight", INNER, WIDTH)
    add(prefix + "mlp.up_proj.weight", INNER, WIDTH)
    add(prefix + "mlp.down_proj.weight", WIDTH, INNER)
add("model.norm.weight", WIDTH, mean=1.0)
add("millrace.item_norm.weight", WIDTH, mean=1.0)
add("millrace.item_scale", 1, mean=1.0)
add("identity", len(ITEMS), WIDTH)


def norm(x, gain):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPSILON) * gain


def turned(x):
    """rows × heads × head width, turned by the rows' numbers."""
    rows, _, width = x.shape
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(rows)[:, None] * frequencies
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    low, high = x[..., : width // 2], x[..., width // 2:]
    return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)


def block(x, layer, sees):
    prefix = f"model.layers.{layer}."
    rows = x.shape[0]
    h = norm(x, weights[prefix + "input_layernorm.weight"])
    q, k, v = (
        (h @ weights[f"{prefix}self_attn.{name}_proj.weight"].T).view(rows, HEADS, -1)
        for name in "qkv")
    logits = torch.einsum("ihd,jhd->hij", turned(q), turned(k)) / (WIDTH // HEADS) ** 0.5
    shares = torch.softmax(logits.masked_fill(~sees, -torch.inf), -1)
    attended = torch.einsum("hij,jhd->ihd", shares, v).reshape(rows, WIDTH)
    x = x + attended @ weights[prefix + "self_attn.o_proj.weight"].T
    h = norm(x, weights[prefix + "post_attention_layernorm.weight"])
    gate = h @ weights[prefix + "mlp.gate_proj.weight"].T
    up = h @ weights[prefix + "mlp.up_proj.weight"].T
    inner = torch.nn.functional.silu(gate) * up
    return x + inner @ weights[prefix + "mlp.down_proj.weight"].T


def text(tokens):
    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(INTRA):
        x = block(x, layer, torch.ones(len(tokens), len(tokens), dtype=bool).tril())
    return x


def history(vectors, answer=None):
    x = torch.stack(vectors + ([] if answer is None else [answer]))
    sees = torch.ones(len(x), len(x), dtype=bool).tril()
    if answer is not None:
        sees[-1, -1] = False
    for layer in range(INTRA, INTRA + INTER):
        x = block(x, layer, sees)
    return norm(x, weights["model.norm.weight"])


texts = [text(tokens) for tokens in ITEMS]
gates = [count / (count + GATE_HALF) for count in COUNTS]
vectors = [
    norm(states.mean(0), weights["millrace.item_norm.weight"]) + gate * weights["identity"][item]
    for item, (states, gate) in enumerate(zip(texts, gates))]
table = torch.stack(vectors)
states, item_losses, answer_losses = [], [], []
for sequence in HISTORIES:
    inputs = [vectors[item] for item in sequence[:-1]]
    outputs = history(inputs)
    states.append(outputs)
    for row, target in enumerate(sequence[1:]):
        logits = weights["millrace.item_scale"] * (table @ outputs[row])
        item_losses.append(-torch.log_softmax(logits, 0)[target])
        if not LISTED[target]:
            continue
        loss, path = torch.tensor(0.0), ITEMS[target]
        for length in range(1, len(path)):
            legal = sorted({
                other[length] for other, listed in zip(ITEMS, LISTED)
                if listed and len(other) > length and other[:length] == path[:length]})
            if len(legal) > 1:
                state = history(inputs[: row + 1], texts[target][length - 1])[-1]
                logits = weights["model.embed_tokens.weight"][legal] @ state
                loss = loss - torch.log_softmax(logits, 0)[legal.index(path[length])]
        answer_losses.append(loss)
item_loss = torch.stack(item_losses).mean()
answer_loss = torch.stack(answer_losses).mean()
(item_loss + ANSWER_WEIGHT * answer_loss).backward()


def numbers(values):
    return [float(f"{v:.8g}") for v in values.detach().flatten().tolist()]


content = {
    "version": 1,
    "shape": {
        "vocabulary": VOCABULARY, "width": WIDTH, "heads": HEADS, "feedForward": INNER,
        "intraBlocks": INTRA, "interBlocks": INTER, "gateHalf": GATE_HALF},
    "answerWeight": ANSWER_WEIGHT, "items": ITEMS, "listed": LISTED, "counts": COUNTS,
    "histories": HISTORIES,
    "weights": {name: numbers(values) for name, values in weights.items()},
    "vectors": numbers(table), "states": numbers(torch.cat(states)),
    "itemLoss": item_loss.item(), "answerLoss": answer_loss.item(),
    "gradients": {
        name: numbers(weights[name].grad) for name in weights
        if ".1." not in name or name.endswith(("q_proj.weight", "v_proj.weight"))},
}
path = HERE / "item-model.json"
path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
manifest = HERE / "manifest.json"
listed = json.loads(manifest.read_text())
listed["files"] = [f for f in listed["files"] if f["path"] != path.name] + [{
    "path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    "generator": pathlib.Path(__file__).name}]
listed["files"].sort(key=lambda f: f["path"])
manifest.write_text(json.dumps(listed, indent=2) + "\n")
