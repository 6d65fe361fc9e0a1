"""P5 and P6: prefill, single steps and training steps of an adapter of one random Llama, here and in PyTorch with peft,
on one thread each, by turns.

Usage: decoder.py PROGRAM, with PROGRAM built by
MILLRACE_BENCHMARKS=1 swift build -c release --product DecoderBenchmark
Needs torch (CPU), transformers and peft.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

TOKENS, ROUNDS, TURNS = 64, 60, 5


def timed(body):
    start = time.perf_counter()
    result = body()
    return (time.perf_counter() - start) * 1000, result


def theirs(model, tokens):
    prefills, steps = [], []
    with torch.inference_mode():
        for _ in range(ROUNDS // 3):
            cache = DynamicCache(config=model.config)
            spent, out = timed(lambda: model(tokens, past_key_values=cache, logits_to_keep=1))
            prefills.append(spent)
            total = 0
            for index in range(TOKENS):
                spent, out = timed(lambda: model(
                    tokens[:, index:index + 1], past_key_values=cache, logits_to_keep=1))
                total += spent
            steps.append(total / TOKENS)
    return {"prefill": statistics.median(prefills), "step": statistics.median(steps),
            "best": int(out.logits[0, -1].argmax())}


def adapted(model):
    made = get_peft_model(model, LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM"))
    for name, value in made.named_parameters():
        if "lora_A" in name:
            value.data.copy_(
                ((torch.arange(value.numel()) % 13 - 6) / 100).reshape(value.shape))
        elif "lora_B" in name:
            value.data.zero_()
    return made


def training(model, tokens):
    """Rounds of one process of ours, from the same start."""
    made = adapted(model)
    free = [value for value in made.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=1e-3, betas=(0.9, 0.98), weight_decay=0)
    batch, times = tokens.repeat(8, 1), []

    def step():
        optimizer.zero_grad()
        logits = made(batch).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return float(loss)

    for _ in range(ROUNDS // 4):
        spent, loss = timed(step)
        times.append(spent)
    made.unload()
    return {"training": statistics.median(times), "loss": loss}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=4096, hidden_size=256, intermediate_size=704, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024)).eval()
    tokens = torch.tensor([[(i * 37 + 11) % 4096 for i in range(TOKENS)]])
    runs = {"millrace": [], "pytorch": []}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        for _ in range(TURNS):
            runs["pytorch"].append({**theirs(model, tokens), **training(model, tokens)})
            ours = subprocess.run(
                [sys.argv[1], folder, str(TOKENS), str(ROUNDS)], check=True,
                stdout=subprocess.PIPE, env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))
            runs["millrace"].append(json.loads(ours.stdout))
    assert len({run["best"] for kind in runs.values() for run in kind}) == 1, runs
    losses = [run["loss"] for kind in runs.values() for run in kind]
    assert max(losses) - min(losses) < 1e-3, losses
    for what in ("prefill", "step", "training"):
        ours, other = (
            statistics.median(run[what] for run in runs[kind]) for kind in ("millrace", "pytorch"))
        print("%s: %.3f ms here, %.3f ms in PyTorch, %.2f times as fast" % (
            what, ours, other, other / ours))


if __name__ == "__main__":
    main()
