#!/usr/bin/env python3
"""A Hugging Face folder as a GGUF file, as llama.cpp's converter would write it (float32), for tests of the importer.

  gguf_of_folder.py FOLDER OUT.gguf

Rows of query and key of the llama architecture go into adjacent pairs, RoPE's scaling into keys or into the tensor of
divisors, end tokens into the keys for them. Needs numpy and gguf.
"""
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        for name, entry in json.loads(content[8:start]).items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            raw = content[start + begin:start + end]
            if entry["dtype"] == "BF16":
                values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]).astype(np.float32)
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def in_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Half-split order to adjacent pairs."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def add_rope(writer: GGUFWriter, rope: dict[str, Any], head_dim: int) -> None:
    writer.add_rope_freq_base(rope["rope_theta"])
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        writer.add_string(f"{writer.arch}.rope.scaling.type", kind)
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "llama3":
        turns = [rope["original_max_position_embeddings"] * rope["rope_theta"]**(-2 * i / head_dim) / (2 * math.pi)
                 for i in range(head_dim // 2)]
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        kept = np.clip((np.array(turns) - low) / (high - low), 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / (kept + (1 - kept) / rope["factor"])).astype(np.float32))


def add_tokenizer(writer: GGUFWriter, folder: Path, config: dict[str, Any]) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    names = {index: token for token, index in tokenizer["model"]["vocab"].items()} | added
    tokens = [names.get(index, f"[PAD{index}]") for index in range(config["vocab_size"])]
    merges = [" ".join(pair) for pair in tokenizer["model"]["merges"]]
    pieces = tokenizer["model"].get("byte_fallback", False)
    types = [3 if index in added else 5 if index not in names else 1 for index in range(len(tokens))]
    if pieces:  # SentencePiece: an unknown token, bytes, and scores, here in the order of the merges
        types = [2 if token == "<unk>" else 6 if token.startswith("<0x") else kind for token, kind in zip(tokens, types)]
        joined = [merge.replace(" ", "") for merge in merges]
        writer.add_token_scores([-float(joined.index(token)) if token in joined else -1000.0 for token in tokens])
    else:
        writer.add_token_merges(merges)
        writer.add_tokenizer_pre("qwen2" if config["model_type"] == "qwen2" else "smollm")
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if tokenizer["post_processor"] is not None:
        writer.add_bos_token_id(tokens.index("<s>"))
    elif pieces:
        writer.add_add_bos_token(False)
    generation = folder / "generation_config.json"
    ends = json.loads((generation if generation.exists() else folder / "config.json").read_text())["eos_token_id"]
    for add, end in zip((writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id),
                        ends if isinstance(ends, list) else [ends]):
        add(end)


def main() -> None:
    folder, out = Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text())
    heads, kv_heads, head_dim = (config[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    writer = GGUFWriter(out, config["model_type"])
    writer.add_name("converted")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    add_rope(writer, config["rope_parameters"], head_dim)
    add_tokenizer(writer, folder, config)
    for name, values in tensors_of(folder).items():
        if name not in WHOLE:
            _, _, layer, part, kind = name.replace("self_attn.", "self_attn+").replace("mlp.", "mlp+").split(".")
            part = part.replace("+", ".")
            if config["model_type"] == "llama" and part in ("self_attn.q_proj", "self_attn.k_proj"):
                values = in_pairs(values, heads if part == "self_attn.q_proj" else kv_heads)
            name = f"blk.{layer}.{PARTS[part]}.{kind}"
        writer.add_tensor(WHOLE.get(name, name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
