#!/usr/bin/env python3
"""P4's other side: an item-aware model scored from scratch in PyTorch, one thread.

    recompute.py MODEL_FOLDER TITLES.jsonl ITEM [ITEM ...]

Encodes the whole catalogue, runs the history and ranks everything, as a server without our caches would; prints the
time and the ten best items, which `REC.GET user COUNT 10 MODE lm` must list too.
"""

import json
import math
import sys
import time

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

torch.set_num_threads(1)


def norm(x, gain, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def rotate(x, positions, base):
    half = x.shape[-1] // 2
    angles = positions[:, None, None].float() * base ** (-torch.arange(half).float() * 2 / x.shape[-1])
    low, high = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)


def block(x, positions, mask, weights, prefix, heads, base, eps):
    def linear(x, name):
        return x @ weights[f"{prefix}{name}.weight"].T

    normed = norm(x, weights[prefix + "input_layernorm.weight"], eps)
    shape = (*x.shape[:-1], heads, -1)
    q, k, v = (linear(normed, f"self_attn.{n}_proj").view(shape) for n in "qkv")
    q, k = rotate(q, positions, base), rotate(k, positions, base)
    scores = torch.einsum("...qhd,...khd->...hqk", q, k) / math.sqrt(q.shape[-1])
    shares = scores.masked_fill(~mask[..., None, :, :], -torch.inf).softmax(-1).nan_to_num()
    out = torch.einsum("...hqk,...khd->...qhd", shares, v).flatten(-2)
    x = x + linear(out, "self_attn.o_proj")
    normed = norm(x, weights[prefix + "post_attention_layernorm.weight"], eps)
    gated = torch.nn.functional.silu(linear(normed, "mlp.gate_proj")) * linear(normed, "mlp.up_proj")
    return x + linear(gated, "mlp.down_proj")


def main():
    folder, titles, history = sys.argv[1], sys.argv[2], sys.argv[3:]
    config = json.load(open(f"{folder}/config.json"))
    own = config["millrace"]
    weights = load_file(f"{folder}/model.safetensors")
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    known = json.load(open(f"{folder}/millrace_items.json"))
    eps, base, heads = config["rms_norm_eps"], config["rope_theta"], config["num_attention_heads"]
    records = [json.loads(line) for line in open(titles)]
    ids = [record["id"] for record in records]
    texts = [tokenizer.encode(record["title"], add_special_tokens=False).ids[:own["content_tokens_max"]]
             for record in records]
    rows = {item: row for row, item in enumerate(known)}
    begin = time.perf_counter()
    with torch.no_grad():
        longest = max(map(len, texts)) + 2
        tokens = torch.zeros(len(texts), longest, dtype=torch.long)
        lengths = torch.tensor([len(text) + 2 for text in texts])
        for row, text in enumerate(texts):
            tokens[row, :len(text) + 2] = torch.tensor([1, *text, 2])
        positions = torch.arange(longest)
        causal = positions[None, :] <= positions[:, None]
        x = weights["model.embed_tokens.weight"][tokens]
        for layer in range(own["intra_blocks"]):
            x = block(x, positions, causal, weights, f"model.layers.{layer}.", heads, base, eps)
        there = (positions[None, :] < lengths[:, None]).float()[..., None]
        vectors = norm((x * there).sum(1) / lengths[:, None], weights["millrace.item_norm.weight"], eps)
        counts = weights["millrace.identity.counts"]
        gates = counts / (counts + own["gate_half"])
        for row, item in enumerate(ids):
            if item in rows:
                vectors[row] += gates[rows[item]] * weights["millrace.identity.weight"][rows[item]]
        window = [ids.index(item) for item in history][-own["history_max"]:]
        positions = torch.arange(len(window))
        mask = positions[None, :] <= positions[:, None] if own["sees_itself"] \
            else positions[None, :] < positions[:, None]
        x = vectors[window]
        for layer in range(own["inter_blocks"]):
            name = f"model.layers.{own['intra_blocks'] + layer}."
            x = block(x, positions, mask, weights, name, heads, base, eps)
        query = norm(x[-1], weights["model.norm.weight"], eps) * weights["millrace.item_scale"]
        scores = vectors @ query
        scores[window] = -torch.inf
        best = scores.topk(10)
    print(f"{1e3 * (time.perf_counter() - begin):.1f} ms for {len(ids)} items")
    print(" ".join(ids[row] for row in best.indices))


if __name__ == "__main__":
    main()
