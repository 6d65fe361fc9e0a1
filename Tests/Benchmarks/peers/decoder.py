"""P5 and P6 in PyTorch, transformers and peft: what DecoderBenchmark measures, on the same weights. One thread.

    decoder.py make FOLDER                  # a random Llama of 5 million parameters
    decoder.py serve|train FOLDER ROUNDS    # a JSON object; times in milliseconds, medians
"""

import copy
import json
import os
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

PROMPT, CANDIDATES, CANDIDATE_TOKENS, BATCH, VOCABULARY = 64, 50, 8, 8, 4096


def sequence(seed, count):
    return [(i * 37 + seed * 101 + 11) % VOCABULARY for i in range(count)]


def timed(body):
    start = time.perf_counter()
    result = body()
    return (time.perf_counter() - start) * 1000, result


def make(folder):
    torch.manual_seed(1)
    LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=1024)).save_pretrained(folder)


def serve(model, tokens, rounds):
    prefills, steps, batches = [], [], []
    candidates = torch.tensor([sequence(number, CANDIDATE_TOKENS) for number in range(1, CANDIDATES + 1)])

    def likelihoods(cache, first):
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(CANDIDATES)
        logits = model(candidates[:, :-1], past_key_values=cache).logits
        rest = torch.nn.functional.cross_entropy(logits.transpose(1, 2), candidates[:, 1:], reduction="none").sum(1)
        return torch.log_softmax(first, -1)[candidates[:, 0]] - rest

    with torch.inference_mode():
        for _ in range(rounds):
            cache = DynamicCache(config=model.config)
            spent, out = timed(lambda: model(tokens, past_key_values=cache, logits_to_keep=1))
            prefills.append(spent)
            spent, scores = timed(lambda: likelihoods(cache, out.logits[0, -1]))
            batches.append(spent)
            total = 0
            for index in range(PROMPT):
                spent, out = timed(lambda: model(
                    tokens[:, index:index + 1], past_key_values=cache, logits_to_keep=1))
                total += spent
            steps.append(total / PROMPT)
    return {"prefill": statistics.median(prefills), "step": statistics.median(steps), "best": int(out.logits[0, -1].argmax()),
            "candidates": statistics.median(batches), "scores": scores.tolist()}


def adapted(model):
    made = get_peft_model(model, LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"))
    for name, value in made.named_parameters():
        if "lora_A" in name:
            value.data.copy_(((torch.arange(value.numel()) % 13 - 6) / 100).reshape(value.shape))
        elif "lora_B" in name:
            value.data.zero_()
    return made


def train(model, tokens, rounds):
    made = adapted(model)
    free = [value for value in made.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=1e-3, betas=(0.9, 0.98), weight_decay=0)
    batch, times = tokens.repeat(BATCH, 1), []

    def step():
        optimizer.zero_grad()
        logits = made(batch).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return float(loss)

    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    for _ in range(rounds):
        spent, loss = timed(step)
        times.append(spent)
    return {"training": statistics.median(times), "loss": loss, "before": before, "tokens": BATCH * PROMPT}


def main(what, folder, rounds=1):
    torch.set_num_threads(1)
    if what == "make":
        return make(folder)
    model = LlamaForCausalLM.from_pretrained(folder).eval()
    measure = {"serve": serve, "train": train}[what]
    print(json.dumps(measure(model, torch.tensor([sequence(0, PROMPT)]), int(rounds))))


main(*sys.argv[1:])
