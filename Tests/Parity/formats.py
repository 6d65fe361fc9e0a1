"""Files that Millrace writes, loaded by Hugging Face's libraries. Needs tokenizers, transformers, peft, safetensors
and torch (CPU); the tests must be built. Usage: formats.py [texts], where texts is a file with a text a line."""

import json
import os
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Fixtures"))
import generate_formats


def check_tokenizer(folder, texts):
    with open(folder + "/encodings.json", encoding="utf-8") as file:
        ours = json.load(file)
    for name, encode in [
        ("tokenizers", lambda text, made=Tokenizer.from_file(folder + "/tokenizer.json"):
            made.encode(text).ids),
        ("transformers", PreTrainedTokenizerFast(
            tokenizer_file=folder + "/tokenizer.json", bos_token="<|bos|>", eos_token="<|eoi|>",
            pad_token="<|pad|>").encode),
    ]:
        wrong = [t for t, ids in zip(texts, ours["encodings"]) if encode(t) != ids]
        assert not wrong, (name, len(wrong), wrong[:3])
    print("tokenizer: %d texts encode alike; trained in %s, encoded in %s" % (
        len(texts), ours["training"], ours["encoding"]))


def check_model(folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (folder, kind, info[kind])
    stored = load_file(folder + "/model.safetensors")
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in stored.items())
    rope = model.config.rope_parameters
    assert rope["rope_theta"] == 20000 and model.config.eos_token_id == [1, 2], rope
    assert model.config.millrace == {"mask": {"layout": "L1"}}
    assert model.config.num_key_value_heads == 1
    ids = torch.arange(10)[None]
    with torch.no_grad():
        before = model(ids).logits
        adapted = PeftModel.from_pretrained(model, folder + "/adapter")
        weights = load_file(folder + "/adapter/adapter_model.safetensors")
        loaded = adapted.state_dict()
        for name, value in weights.items():
            if name.startswith("millrace."):
                continue
            assert torch.equal(loaded[name.replace(".weight", ".default.weight")], value), name
        after = adapted(ids).logits
    assert torch.isfinite(after).all() and not torch.equal(before, after)
    print("%s: %d tensors and an adapter load; rope %s" % (
        os.path.basename(folder), len(stored), rope["rope_type"]))


def check_logits(folder):
    """Logits of a model that Millrace wrote, and with its adapter, against those it computed."""
    with open(folder + "/logits.json", encoding="utf-8") as file:
        ours = json.load(file)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([ours["prompt"]])
    worst = []
    with torch.no_grad():
        plain = model(ids).logits.flatten()
        adapted = PeftModel.from_pretrained(model, folder + "/adapter")(ids).logits.flatten()
    assert not torch.allclose(plain, adapted, rtol=1e-2)
    for theirs, name in [(plain, "logits"), (adapted, "adapted")]:
        off = (torch.tensor(ours[name]) - theirs).abs().max() / theirs.abs().max()
        assert off < 1e-4, (folder, name, off)
        worst.append(float(off))
    print("%s: logits within %.1e, adapted %.1e" % (os.path.basename(folder), *worst))


def main():
    texts = [t for t in generate_formats.TEXTS + generate_formats.CORPUS]
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            texts += [line.rstrip("\n") for line in file]
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/texts.json", "w", encoding="utf-8") as file:
            json.dump(texts, file)
        command = os.environ.get("SWIFT", "swift") + " test --skip-build --filter ParityTests"
        command += " " + os.environ.get("SWIFT_BUILD_FLAGS", "")
        environment = dict(os.environ, MILLRACE_PARITY=folder)
        subprocess.run(
            command.split(), check=True, env=environment, stdout=subprocess.DEVNULL,
            cwd=os.path.join(HERE, "..", ".."))
        check_tokenizer(folder, texts)
        for family in ("llama", "qwen2", "qwen3"):
            check_model(os.path.join(folder, family))
            check_logits(os.path.join(folder, "decoder-" + family))


if __name__ == "__main__":
    main()
