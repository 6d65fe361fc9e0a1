"""Golden files of the decoder: small random models of each family in Hugging Face folders, with what transformers
and peft make of them.

Run in this folder with a Python that has transformers, peft, safetensors and torch (CPU). Files written here are
listed in manifest.json with their SHA-256; entries of other generators are kept.
"""

import hashlib
import json
import os
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers import Qwen3Config, Qwen3ForCausalLM

GENERATOR = "generate_decoder.py"
WRITTEN = []
DRAWN = 40
MARGIN = 2e-3

SIZE = dict(vocab_size=64, hidden_size=16, intermediate_size=20, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
            bos_token_id=None, eos_token_id=None, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=32)
LINEAR = dict(rope_type="linear", rope_theta=1e4, factor=2.0)

FAMILIES = {
    # A head of its own, biases everywhere, frequencies of three kinds, shards.
    "llama": (LlamaForCausalLM, lambda: LlamaConfig(
        **SIZE, tie_word_embeddings=False, attention_bias=True, rope_parameters=LLAMA3),
        torch.float32, dict(max_shard_size="9KB")),
    # A tied head, biases, linear scaling, bfloat16.
    "qwen2": (Qwen2ForCausalLM, lambda: Qwen2Config(
        **SIZE, tie_word_embeddings=True, rope_parameters=LINEAR), torch.bfloat16, {}),
    # Norms of heads, heads wider than the model, float16.
    "qwen3": (Qwen3ForCausalLM, lambda: Qwen3Config(
        **SIZE, tie_word_embeddings=True, head_dim=8), torch.float16, {}),
}


def add(name):
    WRITTEN.append(name)


def shake(model, seed):
    """Weights far from those of an initialisation: unequal norms, biases that are not zero, logits that differ."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        noise = torch.randn(value.shape, generator=generator)
        if "norm" in name:
            value.data.copy_(1 + 0.3 * noise)
        elif name.endswith("bias"):
            value.data.copy_(0.3 * noise)
        else:
            value.data.copy_(noise * (0.8 if "embed" in name or "lm_head" in name else 0.3))


def greedy(model, prompt):
    tokens, margin = list(prompt), float("inf")
    for _ in range(DRAWN):
        logits = model(torch.tensor([tokens])).logits[0, -1]
        best = logits.topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    drawn = model.generate(
        torch.tensor([prompt]), max_new_tokens=DRAWN, do_sample=False, eos_token_id=None,
        pad_token_id=0)[0].tolist()
    return tokens[len(prompt):], margin, drawn == tokens


def numbers(tensor):
    return [float("%.8g" % value) for value in tensor.flatten().tolist()]


def folder_of(name):
    path = "decoder-" + name
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def families():
    expected = {}
    for name, (kind, config, dtype, saving) in FAMILIES.items():
        for seed in range(1, 100):  # until no two best tokens are close
            model = kind(config()).eval()
            shake(model, seed)
            for value in model.parameters():  # rounded as they will be stored; frequencies are not
                value.data = value.data.to(dtype).float()
            prompt = torch.randint(
                0, 64, (20,), generator=torch.Generator().manual_seed(seed)).tolist()
            tokens, margin, agrees = greedy(model, prompt)
            if margin > MARGIN and agrees and len(set(tokens)) > 8:
                break
        else:
            raise SystemExit("no seed gives clear margins for " + name)
        logits = model(torch.tensor([prompt])).logits[0]
        expected[name] = {
            "prompt": prompt, "greedy": tokens, "rows": [0, 7, 19],
            "logits": numbers(logits[[0, 7, 19]]),
        }
        path = folder_of(name)
        with tempfile.TemporaryDirectory() as folder:
            model.to(dtype).save_pretrained(folder, **saving)
            for file in sorted(os.listdir(folder)):
                if file != "generation_config.json":
                    shutil.copy(folder + "/" + file, path + "/" + file)
                    add(path + "/" + file)
        print(name, "seed", seed, "margin %.4f" % margin)
    with open("decoder.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(expected, separators=(",", ":")) + "\n")
    add("decoder.json")


def adapter():
    """An adapter over the Llama model: logits, and the way back through one block with it."""
    torch.manual_seed(5)
    base = LlamaForCausalLM.from_pretrained(
        "decoder-llama", dtype=torch.float32, attn_implementation="eager")
    made = get_peft_model(base, LoraConfig(
        r=3, lora_alpha=5, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM"))
    generator = torch.Generator().manual_seed(6)
    for name, value in made.named_parameters():
        if "lora_" in name:
            value.data.copy_(0.4 * torch.randn(value.shape, generator=generator))
    path = folder_of("llama-adapter")
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        with open(folder + "/adapter_config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["target_modules"].sort()
        with open(path + "/adapter_config.json", "w", encoding="utf-8") as file:
            file.write(json.dumps(config, separators=(",", ":")) + "\n")
        shutil.copy(folder + "/adapter_model.safetensors", path + "/adapter_model.safetensors")
    add(path + "/adapter_config.json")
    add(path + "/adapter_model.safetensors")

    prompt = list(range(3, 15))
    logits = made(torch.tensor([prompt])).logits[0, [4, 11]]

    rows = 5
    model = made.base_model.model.model
    x = torch.randn(1, rows, 16, generator=generator).requires_grad_()
    slope = torch.randn(1, rows, 16, generator=generator)
    mask = torch.full((1, 1, rows, rows), float("-inf")).triu(1)
    angles = model.rotary_emb(x, torch.arange(rows)[None])
    block = model.layers[1]
    out = block(x, attention_mask=mask, position_embeddings=angles)
    out = out[0] if isinstance(out, tuple) else out
    (out * slope).sum().backward()
    tensors = {"x": x.detach(), "slope": slope, "y": out.detach(), "dx": x.grad}
    for name, value in block.named_parameters():
        if value.grad is not None:
            assert "lora_" in name, name
            tensors["d." + name.replace(".default", "")] = value.grad
    tensors["prompt.logits"] = logits.detach()
    save_file({name: value.contiguous() for name, value in tensors.items()},
              "decoder-adapter.safetensors", metadata={"format": "pt"})
    add("decoder-adapter.safetensors")


SEQUENCES = [list(range(3, 15)), [60, 2, 2, 41, 17, 9, 33]]
STEPS = 10


def training():
    """Ten steps of the adapter on two sequences: losses, and the gradients of the first step."""
    base = LlamaForCausalLM.from_pretrained("decoder-llama", dtype=torch.float32)
    made = PeftModel.from_pretrained(base, "decoder-llama-adapter", is_trainable=True)
    made.eval()
    free = {name: value for name, value in made.named_parameters() if value.requires_grad}
    assert free and all("lora_" in name for name in free)
    optimizer = torch.optim.AdamW(
        free.values(), lr=1e-2, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)
    losses, tensors = [], {}
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = sum(
            torch.nn.functional.cross_entropy(
                made(torch.tensor([tokens])).logits[0, :-1], torch.tensor(tokens[1:]),
                reduction="sum")
            for tokens in SEQUENCES) / sum(len(tokens) - 1 for tokens in SEQUENCES)
        loss.backward()
        if not tensors:
            tensors = {name.replace(".default", ""): value.grad.clone()
                       for name, value in free.items()}
        losses.append(float(loss))
        optimizer.step()
    save_file(tensors, "decoder-training.safetensors", metadata={"format": "pt"})
    add("decoder-training.safetensors")
    with open("decoder-training.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(
            {"sequences": SEQUENCES, "losses": losses}, separators=(",", ":")) + "\n")
    add("decoder-training.json")


def manifest():
    with open("manifest.json", encoding="utf-8") as file:
        entries = [e for e in json.load(file)["files"] if e["generator"] != GENERATOR]
    for name in WRITTEN:
        with open(name, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        entries.append({"path": name, "sha256": digest, "generator": GENERATOR})
    entries.sort(key=lambda entry: entry["path"])
    with open("manifest.json", "w", encoding="utf-8") as file:
        file.write(json.dumps({"files": entries}, indent=2) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        families()
    adapter()
    training()
    manifest()
