"""Writes weights files: what a model's file holds, where each dataset comes from, and nothing half-written."""
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np

from gguf_file import BadInput, show_name

OTHER_BYTES = 16 << 20  # of a weights file: tokenizer and HDF5's own structure, generously
STEP_VALUES = 1 << 20  # weights that are converted at a time


class Source(Protocol):
    """Named tensors on disk, read a few rows at a time."""

    def names(self) -> set[str]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...

    def stored_type(self, name: str) -> str:
        """numpy's code of the type that holds the tensor's values exactly."""

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray: ...


class Names(NamedTuple):
    """How a format calls its tensors; `parts` follow the prefix of a layer, and end with .weight or .bias."""
    embedding: str
    final_norm: str
    head: str
    layer: str
    parts: dict[str, str]


class Plan(NamedTuple):
    dataset: str
    tensor: str
    shape: tuple[int, ...]
    rope_heads: int = 0  # heads whose rows the source stores in adjacent-pair order; 0: rows stay where they are


def planned(model: dict[str, Any], names: Names, biases: set[str], adjacent_pairs: bool) -> Iterator[Plan]:
    """What the weights file holds. `biases`: the tensors that are biases of query, key and value."""
    hidden, ffn, head_dim = model["hidden_size"], model["intermediate_size"], model["head_dim"]
    heads, kv_heads = model["num_q_heads"], model["num_kv_heads"]
    rope = {"query": heads, "key": kv_heads} if adjacent_pairs else {}
    yield Plan("embedding", names.embedding, (model["vocab_size"], hidden))
    for layer in range(model["num_layers"]):
        to, source = f"layers/{layer}/", names.layer.format(layer)

        def part(name: str, *shape: int) -> Plan:
            return Plan(to + name, f"{source}{names.parts[name]}.weight", shape, rope.get(name, 0))

        yield part("attention_norm", hidden)
        for name, count in (("query", heads), ("key", kv_heads), ("value", kv_heads)):
            yield part(name, count * head_dim, hidden)
            if (bias := f"{source}{names.parts[name]}.bias") in biases:
                yield Plan(f"{to}{name}_bias", bias, (count * head_dim,), rope.get(name, 0))
        yield part("output", hidden, heads * head_dim)
        yield part("ffn_norm", hidden)
        yield part("gate", ffn, hidden)
        yield part("up", ffn, hidden)
        yield part("down", hidden, ffn)
    yield Plan("final_norm", names.final_norm, (hidden,))
    if not model["tied_embeddings"]:
        yield Plan("head", names.head, (model["vocab_size"], hidden))


def checked(source: Source, plans: list[Plan], family: str) -> list[Plan]:
    """The plans, after checking that the source holds just these tensors in these shapes."""
    tensors = source.names()
    for plan in plans:
        if plan.tensor not in tensors:
            raise BadInput(f"tensor {plan.tensor} is missing, must have shape {plan.shape}")
        if (shape := source.shape(plan.tensor)) != plan.shape:
            raise BadInput(f"tensor {plan.tensor} has shape {shape}, must have {plan.shape}")
        source.stored_type(plan.tensor)
    unused = sorted(tensors - {plan.tensor for plan in plans})
    if unused:
        raise BadInput(f"tensor {show_name(unused[0])} has no place in a plain {family} model (RoPE factors, experts, ...)")
    return plans


def write_tensor(target: h5py.Dataset, plan: Plan, source: Source) -> None:
    order = np.arange(plan.shape[0])
    if plan.rope_heads:  # source row 2 i + j of a head is row j head_dim / 2 + i of the result
        order = order.reshape(plan.rope_heads, -1, 2).swapaxes(1, 2).reshape(-1)
    step = max(1, STEP_VALUES // max(1, math.prod(plan.shape[1:])))
    for begin in range(0, len(order), step):
        values = source.rows(plan.tensor, order[begin:begin + step])
        if not np.isfinite(values).all():
            raise BadInput(f"tensor {plan.tensor} holds values that are not finite")
        target[begin:begin + step] = values


def show_progress(layer: int, num_layers: int) -> None:
    if sys.stderr.isatty():
        print(f"layer {layer} of {num_layers}", end="\n" if layer == num_layers else "\r", file=sys.stderr, flush=True)
    elif layer % 10 == 0 or layer == num_layers:
        print(f"layer {layer} of {num_layers}", file=sys.stderr, flush=True)


def write_weights(path: Path, attributes: dict[str, Any], plans: list[Plan], source: Source,
                  more: dict[str, np.ndarray]) -> None:
    """Writes a new file. `more`: datasets beside the tensors."""
    check_space(path.parent, sum(np.dtype(source.stored_type(plan.tensor)).itemsize * math.prod(plan.shape)
                                 for plan in plans))
    with h5py.File(path, "w", locking=False) as file:  # nobody else knows of it yet, and not every disk has locks
        for name, value in attributes.items():
            if isinstance(value, str):
                value = np.array(value.encode(), h5py.string_dtype("utf-8", max(1, len(value.encode()))))
            file.attrs[name] = np.int64(value) if isinstance(value, (int, list)) else value
        for name, values in more.items():
            file[name] = values
        for plan, following in zip(plans, [*plans[1:], None]):
            target = file.create_dataset(plan.dataset, plan.shape, source.stored_type(plan.tensor))
            write_tensor(target, plan, source)
            group = plan.dataset.rpartition("/")[0]
            if group and (following is None or following.dataset.rpartition("/")[0] != group):
                show_progress(int(group.split("/")[1]) + 1, attributes["num_layers"])


def check_space(folder: Path, num_bytes: int) -> None:
    """Takes the room for the weights file and gives it back: h5py crashes when a disk fills up under it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes + OTHER_BYTES)


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """A folder beside `out` whose file `weights.h5` takes the place of `out` at the end, if all goes well."""
    if (out.exists() and not out.is_file()) or not out.parent.is_dir():
        raise BadInput("must be the name of a file in a folder that exists", str(out))
    if out.exists() and out.stat().st_size > 0 and not h5py.is_hdf5(out):
        raise BadInput("is there and no HDF5 file: only such a file is replaced", str(out))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        yield Path(name)
        os.replace(Path(name) / "weights.h5", out)
