"""Files that Millrace writes, loaded by Hugging Face's libraries. Needs tokenizers, transformers, peft, safetensors
and torch (CPU); the tests must be built. Usage: formats.py [texts], where texts is a file with a text a line."""

import json
import os
import random
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


RANDOM = 3000


def compare(name, texts, ours, encode):
    """All texts must encode alike, but for the random ones at the end: Unicode versions differ, and a scalar that one
    side's tables do not know yet may be a letter on the other. No more than one in a hundred of them may differ."""
    wrong = [(index, text) for index, (text, ids) in enumerate(zip(texts, ours, strict=True))
             if encode(text) != ids]
    print("%s: %d of %d texts differ" % (name, len(wrong), len(texts)),
          [ascii(text) for _, text in wrong[:2]])
    assert all(index >= len(texts) - RANDOM for index, _ in wrong), wrong[:3]
    assert len(wrong) * 100 <= RANDOM


def check_tokenizer(folder, texts):
    with open(folder + "/encodings.json", encoding="utf-8") as file:
        ours = json.load(file)
    path = folder + "/tokenizer.json"
    made = Tokenizer.from_file(path)
    compare("trained, in tokenizers", texts, ours["encodings"], lambda text: made.encode(text).ids)
    fast = PreTrainedTokenizerFast(
        tokenizer_file=path, bos_token="<|bos|>", eos_token="<|eoi|>", pad_token="<|pad|>")
    compare("trained, in transformers", texts, ours["encodings"], fast.encode)
    print("trained in %s, encoded in %s" % (ours["training"], ours["encoding"]))


def random_texts(count):
    """Texts from all of Unicode: most from blocks with letters, marks, numbers and white space side by side."""
    draw = random.Random(1)
    blocks = [(0x20, 0x7F), (0x80, 0x24F), (0x2B0, 0x52F), (0x590, 0xFFF), (0x1100, 0x11FF),
              (0x1E00, 0x20CF), (0x2100, 0x2BFF), (0x3000, 0x33FF), (0xA000, 0xABFF),
              (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x10000, 0x1FFFF), (0x0, 0x20)]
    texts = []
    for _ in range(count):
        pieces = []
        for _ in range(draw.randrange(1, 12)):
            low, high = draw.choice(blocks)
            pieces += [chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 5))]
            pieces.append(draw.choice(["", "", " ", "  ", "\n", "'s", "1", "a"]))
        texts.append("".join(pieces))
    return texts


def check_styles(folder, texts):
    for style in generate_formats.STYLES:
        made = Tokenizer.from_file(os.path.join(
            HERE, "..", "Fixtures", "tokenizer-%s.json" % style))
        with open(folder + "/encodings-%s.json" % style, encoding="utf-8") as file:
            ours = json.load(file)
        compare(style, texts, ours, lambda text: made.encode(text, add_special_tokens=False).ids)


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
    texts = generate_formats.TEXTS + generate_formats.CORPUS
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            texts += [line.rstrip("\n") for line in file]
    texts += random_texts(RANDOM)
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
        check_styles(folder, texts)
        for family in ("llama", "qwen2", "qwen3"):
            check_model(os.path.join(folder, family))
            check_logits(os.path.join(folder, "decoder-" + family))


if __name__ == "__main__":
    main()
