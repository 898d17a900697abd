#!/usr/bin/env python3
"""Sample files for the tests of the tools: a tiny model as GGUF, broken copies of its weights file, a trace as JSON.

  sample_files.py broken W.h5 FOLDER   writes a broken copy of W.h5 for every entry of breaks(), and prints
                                       {file name: a word that its refusal must say}
  sample_files.py dump FILE.h5         prints {"attributes": {…}, "datasets": {path: {shape, dtype, values}}}

Both commands need h5py (run them with $APB_PYTHON); tiny_gguf() needs the standard library only.
"""
from __future__ import annotations

import json
import math
import random
import shutil
import struct
import sys
from pathlib import Path
from typing import Any, Callable

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN, CONTEXT_LEN = 8, 2, 2, 1, 4, 12, 64
END_TOKEN = "<|end|>"
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9
F32 = 0  # GGUF's number of the tensor type
ALIGNMENT = 32


def byte_letters() -> list[str]:
    """How byte-level BPE spells the bytes 0 to 255."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters, next_letter = [], 0x100
    for byte in range(256):
        letters.append(chr(byte if byte in printable else next_letter))
        next_letter += byte not in printable
    return letters


VOCABULARY = byte_letters() + ["th", END_TOKEN]


def tiny_metadata() -> dict[str, tuple[int, Any]]:
    """Key to (GGUF type, value); an array's value is (item type, items)."""
    return {"general.architecture": (STRING, "llama"), "general.name": (STRING, "tiny"),
            "llama.block_count": (UINT32, LAYERS), "llama.context_length": (UINT32, CONTEXT_LEN),
            "llama.embedding_length": (UINT32, HIDDEN), "llama.feed_forward_length": (UINT32, FFN),
            "llama.attention.head_count": (UINT32, HEADS), "llama.attention.head_count_kv": (UINT32, KV_HEADS),
            "llama.attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5), "llama.rope.freq_base": (FLOAT32, 10000.0),
            "tokenizer.ggml.model": (STRING, "gpt2"), "tokenizer.ggml.pre": (STRING, "gpt-2"),
            "tokenizer.ggml.tokens": (ARRAY, (STRING, VOCABULARY)),
            "tokenizer.ggml.token_type": (ARRAY, (INT32, [1] * (len(VOCABULARY) - 1) + [3])),
            "tokenizer.ggml.merges": (ARRAY, (STRING, ["t h"])),
            "tokenizer.ggml.eos_token_id": (UINT32, VOCABULARY.index(END_TOKEN))}


def tiny_tensors() -> dict[str, tuple[int, ...]]:
    """Name to shape, slowest dimension first."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(VOCABULARY), HIDDEN),
                                          "output.weight": (len(VOCABULARY), HIDDEN), "output_norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        shapes.update({at + "attn_norm.weight": (HIDDEN,), at + "attn_q.weight": (HEADS * HEAD_DIM, HIDDEN),
                       at + "attn_k.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
                       at + "attn_v.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
                       at + "attn_output.weight": (HIDDEN, HEADS * HEAD_DIM), at + "ffn_norm.weight": (HIDDEN,),
                       at + "ffn_gate.weight": (FFN, HIDDEN), at + "ffn_up.weight": (FFN, HIDDEN),
                       at + "ffn_down.weight": (HIDDEN, FFN)})
    return shapes


def packed_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def packed_value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return packed_text(value)
    if kind == ARRAY:
        item, items = value
        return struct.pack("<IQ", item, len(items)) + b"".join(packed_value(item, each) for each in items)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f"}[kind], value)


def tiny_gguf(metadata: dict[str, tuple[int, Any]] | None = None, tensors: dict[str, tuple[int, ...]] | None = None,
              version: int = 3, first_value: float = 0.5) -> bytes:
    """A whole GGUF file. Values are random with a fixed seed; `first_value` is the first of the first tensor."""
    metadata = tiny_metadata() if metadata is None else metadata
    tensors = tiny_tensors() if tensors is None else tensors
    generator = random.Random(7)
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    header += b"".join(packed_text(key) + struct.pack("<I", kind) + packed_value(kind, value)
                       for key, (kind, value) in metadata.items())
    data = b""
    for name, shape in tensors.items():
        header += packed_text(name) + struct.pack("<I", len(shape))
        header += b"".join(struct.pack("<Q", size) for size in reversed(shape)) + struct.pack("<IQ", F32, len(data))
        values = [generator.uniform(-1, 1) for _ in range(math.prod(shape))]
        if not data:
            values[0] = first_value
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % ALIGNMENT)
    return header + bytes(-len(header) % ALIGNMENT) + data


# ---- broken weights files; from here on h5py is needed ---------------------------------------------------------------

def attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file.attrs[name]
        file.attrs[name] = value
    return change


def without_attribute(name: str) -> Callable[[Any], None]:
    return lambda file: file.attrs.__delitem__(name)


def without(name: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(name)


def dataset(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Replaces a dataset by what `change` makes of its values."""
    def replace(file: Any) -> None:
        values = change(file[name][...])
        del file[name]
        file[name] = values
    return replace


def entry(name: str, index: int, value: int) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[name][index] = value
    return change


def bias(name: str, size: int) -> Callable[[Any], None]:
    def add(file: Any) -> None:
        file[name] = [1.0] * size
    return add


def group_instead(name: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file.create_group(name)
    return change


def dangling_link(name: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        import h5py
        del file[name]
        file[name] = h5py.SoftLink("/nowhere")
    return change


def foreign_ids(file: Any) -> None:
    """A tokenizer whose token ids go far beyond the vocabulary of the weights."""
    tokenizer = json.loads(bytes(file["tokenizer/json"][...]).decode())
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {token: index + 1_000_000 for token, index in vocabulary.items()}
    import numpy
    del file["tokenizer/json"]
    file["tokenizer/json"] = numpy.frombuffer(json.dumps(tokenizer).encode(), numpy.uint8)


def huge(name: str) -> Callable[[Any], None]:
    """A dataset that claims 32 TiB and stores nothing."""
    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, (2**45,), "u1", chunks=(1024,))
    return change


def breaks() -> dict[str, tuple[str, Callable[[Any], None]]]:
    """File name to (a word that the refusal must say, what to break)."""
    import numpy as np
    table: dict[str, tuple[str, Callable[[Any], None]]] = {}
    for name in ("schema", "version", "architecture", "name", "num_layers", "hidden_size", "intermediate_size",
                 "num_q_heads", "num_kv_heads", "head_dim", "vocab_size", "context_len", "rope_theta", "rms_norm_eps",
                 "eos_token_id", "tied_embeddings"):
        table[f"no_{name}"] = (name, without_attribute(name))
    for name in ("embedding", "head", "final_norm", "layers/1/down", "layers/0/query", "layers/1/ffn_norm", "tokenizer",
                 "tokenizer/token_offsets", "tokenizer/token_bytes", "tokenizer/json"):
        table["no_" + name.replace("/", "_")] = (name, without(name))
    for name, value in (("schema", np.bytes_(b"apb-case")), ("architecture", np.bytes_(b"mamba")), ("version", 2),
                        ("num_layers", 0), ("num_layers", -1), ("num_layers", 2**40), ("hidden_size", 2**50),
                        ("num_q_heads", 0), ("num_q_heads", 3), ("num_kv_heads", 0), ("num_kv_heads", 5),
                        ("num_q_heads", 2**24), ("head_dim", 3), ("head_dim", -4), ("head_dim", 2**24),
                        ("vocab_size", 0), ("context_len", 0), ("eos_token_id", 10**9), ("eos_token_id", -7),
                        ("eos_token_id", len(VOCABULARY)), ("rope_theta", float("nan")), ("rope_theta", 0.0),
                        ("rope_theta", float("inf")), ("rope_theta", -1e4), ("rms_norm_eps", float("nan")),
                        ("rms_norm_eps", -1.0), ("rope_theta", np.bytes_(b"ten thousand")), ("num_layers", [2, 2]),
                        ("name", 7), ("num_q_heads", np.bytes_(b"two"))):
        label = value.decode() if isinstance(value, bytes) else str(value)
        table[f"{name}_{''.join(c if c.isalnum() or c in '.-+' else '_' for c in label)}"] = (name,
                                                                                              attribute(name, value))
    table["num_layers_one_too_many"] = ("layers/2", attribute("num_layers", LAYERS + 1))
    table["vocab_size_too_large"] = ("embedding", attribute("vocab_size", len(VOCABULARY) + 1))
    table["hidden_size_other"] = ("embedding", attribute("hidden_size", HIDDEN * 2))
    table["everything_huge"] = ("", lambda file: [attribute(name, 2**24)(file) for name in
                                                  ("hidden_size", "intermediate_size", "num_layers", "vocab_size")])
    table["embedding_wide"] = ("embedding", dataset("embedding", lambda values: np.hstack([values, values[:, :1]])))
    table["embedding_flat"] = ("embedding", dataset("embedding", np.ravel))
    table["embedding_of_strings"] = ("embedding", dataset("embedding", lambda values: values.astype("S8")))
    table["key_transposed"] = ("layers/0/key", dataset("layers/0/key", np.transpose))
    table["norm_square"] = ("final_norm", dataset("final_norm", lambda values: np.ones((HIDDEN, HIDDEN), "f4")))
    table["down_scalar"] = ("layers/1/down", dataset("layers/1/down", lambda values: np.float32(1)))
    table["down_empty"] = ("layers/1/down", dataset("layers/1/down", lambda values: values[:0]))
    table["up_group"] = ("layers/0/up", group_instead("layers/0/up"))
    table["up_dangling"] = ("layers/0/up", dangling_link("layers/0/up"))
    table["offsets_descend"] = ("token_offsets", entry("tokenizer/token_offsets", 5, 0))
    table["offsets_negative"] = ("token_offsets", entry("tokenizer/token_offsets", 0, -1))
    table["offsets_beyond"] = ("token_offsets", entry("tokenizer/token_offsets", len(VOCABULARY), 10**6))
    table["offsets_huge"] = ("token_offsets", entry("tokenizer/token_offsets", 9, 2**62))
    table["offsets_short"] = ("token_offsets", dataset("tokenizer/token_offsets", lambda values: values[:-1]))
    table["bytes_square"] = ("token_bytes", dataset("tokenizer/token_bytes", lambda values: values.reshape(-1, 1)))
    table["bytes_huge"] = ("token_bytes", huge("tokenizer/token_bytes"))
    table["json_huge"] = ("tokenizer/json", huge("tokenizer/json"))
    table["tokenizer_no_json"] = ("tokenizer/json", dataset("tokenizer/json", lambda values: values[:-9]))
    table["tokenizer_empty"] = ("tokenizer/json", dataset("tokenizer/json", lambda values: values[:0]))
    table["tokenizer_foreign_ids"] = ("", foreign_ids)
    table["query_bias"] = ("bias", bias("layers/0/query_bias", HEADS * HEAD_DIM))
    table["key_bias_only"] = ("bias", bias("layers/0/key_bias", KV_HEADS * HEAD_DIM))
    table["bias_of_layer_1"] = ("bias", bias("layers/1/query_bias", HEADS * HEAD_DIM))
    return table


def write_broken(whole: Path, folder: Path, table: dict) -> None:
    """A changed copy for every entry {name: (words, change)}; prints {file name: words}."""
    import h5py
    words = {}
    for name, (word, change) in table.items():
        copy = folder / f"{name}.h5"
        shutil.copyfile(whole, copy)
        with h5py.File(copy, "r+") as file:
            change(file)
        words[copy.name] = word
    print(json.dumps(words))


def dump(path: Path) -> None:
    import h5py
    datasets = {}
    with h5py.File(path, "r") as file:
        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                datasets["/" +
                         name] = {"shape": list(item.shape), "dtype": str(item.dtype), "values": item[...].tolist()}
        file.visititems(visit)
        attributes = {
            name: value.decode() if isinstance(value, bytes) else value.item() if hasattr(value, "item") else value
            for name, value in file.attrs.items()
        }
    print(json.dumps({"attributes": attributes, "datasets": datasets}))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "broken":
        write_broken(Path(sys.argv[2]), Path(sys.argv[3]), breaks())
    elif len(sys.argv) == 3 and sys.argv[1] == "dump":
        dump(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
