#!/usr/bin/env python3
"""Small Hugging Face folders of both families with seeded weights, and what transformers computes with them in float64.

  make_hf_golden.py [FOLDER]    writes FOLDER/hf_NAME/ for every model of MODELS (FOLDER: by default this one)

Each folder holds what save_pretrained writes (config.json, safetensors, generation_config.json, tokenizer.json) and
golden.json: a text, its token ids, what the tokenizer puts before a text, the end tokens that generate() follows, and
logits of some rows in float64 (of the token ids alone). transformers computes norms and rotary frequencies in float32 whatever
the model's type: while it runs, its torch.float32 is float64, so that its own code gives double.

Needs: pip install torch transformers
"""
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

SEED = 20251124
ROWS = (0, 9, 30, 63)
TEXT = "the thing that the other three thought of: naïve café, 42 times; 你好!\n\n  then they met <|end|> and the theme"

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 1024}  # 8 elements: wavelengths 6.3 and 63 stay, 628 is mixed, 6283 scaled
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 256}
# Name: family, query and KV heads, tied embeddings, RoPE, type of the stored weights, largest shard, end tokens that
# generation_config.json adds to config.json's.
MODELS = {
    "llama_28_4": ("llama", 28, 4, False, LLAMA3, torch.bfloat16, "60KB", None),
    "llama_1_1": ("llama", 1, 1, True, PLAIN, torch.float32, "1GB", None),
    "qwen2_28_4": ("qwen2", 28, 4, False, PLAIN, torch.float16, "1GB", None),
    "qwen2_1_1": ("qwen2", 1, 1, True, LLAMA3, torch.bfloat16, "20KB", None),
    "qwen2_yarn": ("qwen2", 4, 2, False, YARN, torch.float32, "1GB", [1, 2]),
    "sentencepiece_linear": ("sentencepiece", 4, 2, False, LINEAR, torch.float32, "1GB", [2, 5]),
}
HIDDEN, HEAD_DIM, FFN, LAYERS = 28, 8, 40, 2


@contextmanager
def float32_is_float64():
    names = ("float32", "float")
    saved = {name: getattr(torch, name) for name in names}
    for name in names:
        setattr(torch, name, torch.float64)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(torch, name, value)


class DoubleRotary(torch.nn.Module):
    """cos and sin in float64 of transformers' own frequencies, computed in float64."""

    def __init__(self, config: transformers.PretrainedConfig) -> None:
        super().__init__()
        rope = config.rope_parameters
        with float32_is_float64():
            if rope["rope_type"] == "default":
                exponents = torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM
                self.frequencies, self.scale = rope["rope_theta"] ** -exponents, 1.0
            else:
                self.frequencies, self.scale = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, torch.device("cpu"))
        assert self.frequencies.dtype is torch.float64 and (self.scale == 1.0) == (rope["rope_type"] != "yarn")

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].double() * self.frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos() * self.scale, angles.sin() * self.scale


def byte_letters() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def make_sentencepiece() -> Tokenizer:
    """As Llama 2's: spaces are letters, one stands before every text, unknown letters fall back to bytes, a BOS."""
    merges = [("t", "h"), ("th", "e"), ("\u2581", "the"), ("\u2581", "th"), ("o", "u")]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *"abcdefghijklmnopqrstuvwxyz",
              *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges, unk_token="<unk>",
                                     fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens[:3]])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def make_tokenizer(family: str) -> Tokenizer:
    """Byte-level BPE with a few merges and one special token; Qwen2's also normalises to NFC."""
    if family == "sentencepiece":
        return make_sentencepiece()
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "th"), ("o", "u"), ("Ã", "©")]
    tokens = byte_letters() + ["".join(pair) for pair in merges]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    split = Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(split, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True, normalized=False)])
    return tokenizer


def make_model(family: str, heads: int, kv_heads: int, tied: bool, rope: dict, dtype: torch.dtype,
               vocab_size: int) -> transformers.PreTrainedModel:
    config_class, model_class = {"qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM)}.get(
        family, (transformers.LlamaConfig, transformers.LlamaForCausalLM))
    config = config_class(vocab_size=vocab_size, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS,
                          num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=HEAD_DIM,
                          max_position_embeddings=8192, rms_norm_eps=1e-5, tie_word_embeddings=tied, rope_parameters=rope,
                          bos_token_id=None, eos_token_id=vocab_size - 4, dtype=dtype)
    model = model_class(config).to(dtype)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            scale = 0.3 if weight.ndim == 1 else weight.shape[-1] ** -0.5
            weight.copy_(noise * scale + (1.0 if "norm" in name else 0.0))
    return model.eval()


def float64_logits(model: transformers.PreTrainedModel, ids: list[int]) -> torch.Tensor:
    model = model.double()
    model.model.rotary_emb = DoubleRotary(model.config)
    with torch.no_grad(), float32_is_float64():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    assert logits.dtype is torch.float64
    return logits


def write_folder(folder: Path, family: str, heads: int, kv_heads: int, tied: bool, rope: dict, dtype: torch.dtype,
                 largest_shard: str, more_ends: list[int] | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(family)
    model = make_model(family, heads, kv_heads, tied, rope, dtype, tokenizer.get_vocab_size() + 3)
    model.save_pretrained(folder, max_shard_size=largest_shard)
    if more_ends is None:
        (folder / "generation_config.json").unlink(missing_ok=True)
    else:
        transformers.GenerationConfig(eos_token_id=more_ends).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_str() + "\n")
    ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    whole = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))(TEXT).input_ids
    before = whole[:len(whole) - len(ids)]
    assert whole == before + ids
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    ends = model.generation_config.eos_token_id
    logits = float64_logits(model, ids)
    rows = [{"row": row, "logits": logits[row].tolist()} for row in ROWS]
    (folder / "golden.json").write_text(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__,
                                                    "text": TEXT, "token_ids": ids, "before_text": before,
                                                    "eos_token_id": ends, "rows": rows}) + "\n")
    print(folder.name, len(ids), "tokens", "largest logit", logits.abs().max().item(),
          sum(file.stat().st_size for file in folder.iterdir()), "bytes")


if __name__ == "__main__":
    for name, model in MODELS.items():
        write_folder(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent) / f"hf_{name}", *model)
