"""Writes refresh.json: ten refresh steps of the item-aware model by PyTorch, transformers and PEFT, float64.

Run with torch, transformers and peft installed: python Tests/Fixtures/generate_refresh.py. It also brings manifest.json
up to date. The inter stage is transformers' Llama fed with item vectors, its adapter is PEFT's, AdamW is torch's.
"""
import hashlib
import json
import math
import pathlib

import peft
import torch
import transformers

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
WIDTH, HEADS, INNER, EPSILON, GATE_HALF = 8, 2, 12, 1e-6, 3.0
RANK, ALPHA, STEPS, RATE, CLIP = 2, 3.0, 10, 0.02, 1.0
TEACHER_ALPHA, EVIDENCE_HALF = 0.6, 2.0
COUNTS = [0, 1, 2, 3, 50, 7, 1]
# Item 5 is a candidate alone, and two targets of the first window are known.
WINDOWS = [
    {"items": [0, 1, 2, 3], "newFrom": 2, "teacher": [{"3": 2, "5": 1}, {}]},
    {"items": [4, 6, 0], "newFrom": 0, "teacher": [{"6": 4}, {"1": 1, "2": 1, "0": 3}]},
    {"items": [3, 4], "newFrom": 0, "teacher": [{"2": 1}]}]


def drawn(*shape, mean=0.0, deviation=0.4):
    return (mean + deviation * torch.randn(*shape)).float().double()


model = transformers.LlamaModel(transformers.LlamaConfig(
    vocab_size=4, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=1, num_attention_heads=HEADS,
    rms_norm_eps=EPSILON, rope_theta=10_000.0, attn_implementation="eager")).double()
weights = {}
for name, values in model.named_parameters():
    with torch.no_grad():
        values.copy_(drawn(*values.shape, mean=1.0 if values.dim() == 1 else 0.0))
    if not name.startswith("embed_tokens"):
        weights[f"model.{name}"] = values.detach().clone()
scale = drawn(1, mean=1.5)
weights["millrace.item_scale"] = scale
texts, identity = drawn(len(COUNTS), WIDTH), drawn(len(COUNTS), WIDTH)

adapted = peft.get_peft_model(model, peft.LoraConfig(
    r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
pairs = {name: values for name, values in adapted.named_parameters() if values.requires_grad}
for values in pairs.values():
    with torch.no_grad():
        values.copy_(drawn(*values.shape))


def ours(name):
    return name.replace("base_model.model.", "base_model.model.model.").replace(".default", "")


start = {ours(name): values.detach().clone() for name, values in pairs.items()}
counts = list(COUNTS)
for window in WINDOWS:
    for item in window["items"][window["newFrom"]:]:
        counts[item] += 1
named = sorted({item for window in WINDOWS for item in window["items"]})
rows = identity[named].clone().requires_grad_()


def table():
    vectors = []
    for item, count in enumerate(counts):
        own = rows[named.index(item)] if item in named else identity[item]
        vectors.append(texts[item] + count / (count + GATE_HALF) * own)
    return torch.stack(vectors)


def loss():
    vectors, losses = table(), []
    for window in WINDOWS:
        items = window["items"]
        states = adapted(inputs_embeds=vectors[items[:-1]][None], use_cache=False).last_hidden_state[0]
        learnt = max(1, window["newFrom"])
        for place in range(learnt, len(items)):
            logs = torch.log_softmax(scale * (vectors @ states[place - 1]), 0)
            opinion = window["teacher"][place - learnt]
            evidence = sum(opinion.values())
            share = TEACHER_ALPHA * evidence / (evidence + EVIDENCE_HALF)
            label = torch.zeros(len(counts))
            label[items[place]] = 1 - share
            for item, count in opinion.items():
                label[int(item)] += share * count / evidence
            losses.append(-(label * logs).sum())
    return torch.stack(losses).mean()


def rate(step):
    warm = min(20, STEPS // 4)
    if step <= warm:
        return RATE * step / warm
    if step >= STEPS:
        return RATE * 0.1
    return RATE * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm))))


def numbers(values):
    return [float(f"{v:.9g}") for v in values.detach().flatten().tolist()]


trained = [*pairs.values(), rows]
optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.98), eps=1e-8, weight_decay=0)
losses, gradients = [], {}
for step in range(1, STEPS + 1):
    optimiser.zero_grad()
    value = loss()
    value.backward()
    losses.append(value.item())
    if step == 1:
        gradients = {ours(name): numbers(values.grad) for name, values in pairs.items()}
        gradients["rows"] = numbers(rows.grad)
    norm = math.sqrt(sum((values.grad ** 2).sum().item() for values in trained))
    for values in trained:
        values.grad *= min(1.0, CLIP / norm)
    for group in optimiser.param_groups:
        group["lr"] = rate(step)
    optimiser.step()

content = {
    "version": 1, "width": WIDTH, "heads": HEADS, "feedForward": INNER, "gateHalf": GATE_HALF, "rank": RANK,
    "loraAlpha": ALPHA, "learningRate": RATE, "alpha": TEACHER_ALPHA, "evidenceHalf": EVIDENCE_HALF,
    "counts": COUNTS,
    "windows": [
        {"items": w["items"], "newFrom": w["newFrom"],
         "teacher": [[[int(item), count] for item, count in t.items()] for t in w["teacher"]]}
        for w in WINDOWS],
    "weights": {name: numbers(values) for name, values in weights.items()},
    "texts": numbers(texts), "identity": numbers(identity),
    "pairs": {name: numbers(values) for name, values in start.items()},
    "losses": losses, "gradients": gradients,
    "learnt": {ours(name): numbers(values) for name, values in pairs.items()} | {"rows": numbers(rows)},
    "learntCounts": [counts[item] for item in named],
}
path = HERE / "refresh.json"
path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
manifest = HERE / "manifest.json"
listed = json.loads(manifest.read_text())
listed["files"] = [f for f in listed["files"] if f["path"] != path.name] + [{
    "path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    "generator": pathlib.Path(__file__).name}]
listed["files"].sort(key=lambda f: f["path"])
manifest.write_text(json.dumps(listed, indent=2) + "\n")
