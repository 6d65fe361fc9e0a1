"""Golden files of Tokenization and Checkpoints, made by Hugging Face's libraries.

Run in this folder with a Python that has tokenizers, transformers, peft, safetensors and torch (CPU). Files written
here are listed in manifest.json with their SHA-256; entries of other generators are kept.
"""

import hashlib
import json
import os
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

GENERATOR = "generate_formats.py"
WRITTEN = []

GROUPED = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CORPUS = [
    "Brother Genuine High Yield Toner Cartridge, TN450, Replacement Black Toner",
    "Post-it Super Sticky Notes, 3x3 in, 12 Pads, 2x the Sticking Power",
    "I'm sure they'll say it's what we've done; you'd say he isn't, they're not",
    "The 2nd edition of 1001 Nights, 1999-2024, vol. 12, 8.5 x 11 inch",
    "Über die Straße, naïve café, coöperate, façade, Ångström",
    "東京は日本の首都です。 北京是中国的首都。 서울은 대한민국의 수도",
    "emoji 😀 👩‍👩‍👧 🇩🇪 and ❤️ hearts",
    "def f(x):\n    return x + 1\n\n\n# end\r\n\tdone",
    "Привет мир, как дела? ЩЁЛК",
] * 3

TEXTS = [
    "", " ", "  ", "\n", "\r\n", " \n \n ", "a", " a", "  a", "a ", "a  ", "\ta\t\tb",
    "Hello, world!", "HELLO World's", "it's IT'S It'S don't DON'T we'Re I'VE you'Ll he'D 'M",
    "''s 'sx 's' 'tis rock'n'roll o'clock 'r 'v 'l", "cat\u2019s it'\u017f x'\u017f", "'", "x'", "x 's",
    "1 12 123 1234 12345678 1,234.56 3rd \u00bd \u00b2 \u0663\u0664 \u2167 x1y2",
    "line one\nline two\r\n\r\nline three\n\n   \n  indented\n\ttab \n",
    "   leading and   inner    and trailing   ", "a\u00a0b\u2003c\u3000d\u200be \u00a0 \u2028x\u0085y",
    "snake_case camelCase kebab-case a+b=c $5.00 100% #tag @you ... !!! ?!? (x) [y] {z} <w>",
    "!!!\n\n!!!\r\n ?\n", "\u00e9 e\u0301 \u1e9b\u0323 \u0344 \uac01 \u1100\u1161\u11a8 \u0958 a\u0315\u0300\u05ae\u0300b \u212b \u03a3\u03a3",
    "\u0130stanbul STRASSE \u1e9e \u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3 \u01c5 \ua64a K",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002Tokyo123", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f x\U0001f600y",
    "\u0915\u094d\u0937\u093f \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "combining x\u0323\u0307y z\u0301", "null \u0000 byte \u0001 \u007f", "\ufeffbom \ufffd",
    "<|im_start|>user\nHi<|im_end|>\n", "x<|endoftext|>y <|endoftext|> z", "<|im_start|><|im_start|",
    "< |im_start| > <tool> Tool TOOL<tool>x", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababab bababa",
    "https://example.com/a?b=c&d=e%20f", "\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341" * 3,
    "Brother Genuine High Yield Toner Cartridge, TN450", "coo\u0308perate co\u00f6perate",
]


def write(name, text):
    with open(name, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    WRITTEN.append(name)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def split(digits):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(GROUPED % digits), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ])


def byte_level(space):
    return pre_tokenizers.ByteLevel(add_prefix_space=space, trim_offsets=True, use_regex=True)


SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HEADERS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]

STYLES = {
    "gpt2": (None, byte_level(False)),
    "prefix": (
        normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]), byte_level(True)),
    "llama3": (None, split(r"\p{N}{1,3}")),
    "qwen": (normalizers.NFC(), split(r"\p{N}")),
    "digits": (None, pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), byte_level(False)])),
}


def tokenizer(style):
    normalizer, pre = STYLES[style]
    made = Tokenizer(models.BPE(ignore_merges=style == "llama3"))
    if normalizer:
        made.normalizer = normalizer
    made.pre_tokenizer = pre
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(CORPUS, trainer)
    made.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("Tool", normalized=True)])
    if style == "llama3":
        made.add_special_tokens(HEADERS)
    begin = ("<|endoftext|>", made.token_to_id("<|endoftext|>"))
    template = processors.TemplateProcessing(single="%s $A %s" % (begin[0], begin[0]),
                                             special_tokens=[begin])
    if style == "llama3":
        made.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=False), template])
    elif style == "prefix":
        made.post_processor = template
    else:
        made.post_processor = processors.ByteLevel(trim_offsets=False)
    document = json.loads(made.to_str())
    if style == "gpt2":  # the older way of writing merges
        document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    return document


def tokenizers_golden():
    for style in STYLES:
        document = tokenizer(style)
        write("tokenizer-%s.json" % style, compact(document))
        made = Tokenizer.from_str(json.dumps(document))
        cases = []
        for text in TEXTS:
            recognised = made.encode(text, add_special_tokens=False).ids
            framed = made.encode(text).ids
            made.encode_special_tokens = True
            plain = made.encode(text, add_special_tokens=False).ids
            made.encode_special_tokens = False
            cases.append({
                "text": text, "recognised": recognised, "framed": framed, "plain": plain,
                "decoded": made.decode(recognised, skip_special_tokens=True),
                "decodedWhole": made.decode(recognised, skip_special_tokens=False),
            })
        # Bytes of a character in other orders: what is not UTF-8 becomes U+FFFD.
        odd = made.encode("\U0001f600\u6771\u00e9", add_special_tokens=False).ids
        for ids in [odd[:1], odd[:2], odd[1:], odd[::-1], [10**6] + odd, [130, 200, 250, 131]]:
            cases.append({"ids": ids, "decodedWhole": made.decode(ids, skip_special_tokens=False)})
        write("encodings-%s.json" % style, compact(cases))


def training_golden():
    """What BpeTrainer learns from a corpus, to compare merge by merge."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = byte_level(True)
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|pad|>", "<|bos|>", "<|eoi|>"], min_frequency=2,
        show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(made.to_str())["model"]
    vocabulary = [text for text, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    write("bpe-training.json", compact(
        {"texts": CORPUS, "vocabulary": vocabulary, "merges": model["merges"]}))


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


HEADED = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>' + '\\n\\n' }}"
    "{% if m.role == 'system' %}"
    "{{ 'Cutting Knowledge Date: December 2023\\nToday Date: 26 Jul 2024\\n\\n' }}{% endif %}"
    "{{ m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)


def chat_golden():
    """A conversation as transformers renders and encodes it, by a program of each family."""
    from transformers import PreTrainedTokenizerFast
    messages = [
        {"role": "system", "content": "You write\nsummaries."},
        {"role": "user", "content": "\n\nI bought toner 450,\n and 'd paper "},
        {"role": "assistant", "content": "Office supplies."},
        {"role": "user", "content": "And 12 pads"},
    ]
    for style, program in [("qwen", CHATML), ("llama3", HEADED)]:
        made = PreTrainedTokenizerFast(
            tokenizer_file="tokenizer-%s.json" % style, chat_template=program,
            bos_token="<|endoftext|>")
        ids = made.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        write("chat-%s.json" % style, compact(
            {"program": program, "messages": messages, "ids": list(ids)}))


def checkpoint_golden():
    """Configurations and small models as transformers writes them, with their tensors' names and shapes."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
    from transformers import Qwen3Config, Qwen3ForCausalLM
    torch.manual_seed(1)
    size = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
    llama3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0,
                  high_freq_factor=4.0, original_max_position_embeddings=32)
    linear = dict(rope_type="linear", rope_theta=1e4, factor=2.0)
    families = {
        "llama": LlamaForCausalLM(LlamaConfig(
            **size, tie_word_embeddings=False, rope_parameters=llama3)),
        "qwen2": Qwen2ForCausalLM(Qwen2Config(
            **size, tie_word_embeddings=True, rope_parameters=linear)),
        "qwen3": Qwen3ForCausalLM(Qwen3Config(
            **size, tie_word_embeddings=True, head_dim=8, eos_token_id=[1, 2])),
    }
    listed = {}
    for name, model in families.items():
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            with open(folder + "/config.json", encoding="utf-8") as file:
                config = json.load(file)
        state = model.state_dict()
        names = {
            key: list(value.shape) for key, value in sorted(state.items())
            if not (key == "lm_head.weight" and model.config.tie_word_embeddings)
        }
        listed[name] = {"config": config, "tensors": names}
    write("model-configurations.json", compact(listed))

    values = torch.tensor([0.0, -0.0, 1.0, -1.5, 3.14159274, 65504.0, 6e-8, 1e-5, -2.5e-3, 1024.5])
    save_file({
        "single": values, "half": values.half(), "brain": values.bfloat16(),
        "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "matrix": values.reshape(2, 5).clone(),
        "count": torch.tensor([1, 2, 3]),
    }, "types.safetensors", metadata={"format": "pt"})
    WRITTEN.append("types.safetensors")
    write("types.json", compact({
        "single": values.tolist(), "half": values.half().float().tolist(),
        "brain": values.bfloat16().float().tolist(),
    }))


def adapter_golden():
    """An adapter as PEFT writes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(2)
    base = LlamaForCausalLM(LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64))
    made = get_peft_model(base, LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"))
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        os.makedirs("adapter", exist_ok=True)
        with open(folder + "/adapter_config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["target_modules"].sort()
        write("adapter/adapter_config.json", compact(config))
        shutil.copy(folder + "/adapter_model.safetensors", "adapter/adapter_model.safetensors")
        WRITTEN.append("adapter/adapter_model.safetensors")


def manifest():
    entries = []
    if os.path.exists("manifest.json"):
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
    tokenizers_golden()
    training_golden()
    chat_golden()
    checkpoint_golden()
    adapter_golden()
    manifest()
