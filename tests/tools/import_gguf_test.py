#!/usr/bin/env python3
"""`./apb import gguf` and `encode`: what they refuse, and places that cannot be written.

  import_gguf_test.py

Needs a Python ($APB_PYTHON) with what import.py needs. What right imports give is tested by bad_weights_test.py and the
real model's tests.
"""
from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import sample_files
from refusals import Folder, cannot_finish, small_files_only
from tool_testing import IMPORT_PY, Checks, arguments, python_with, run, skip, temporary_folder


def zipped(*members: str, content: bytes = b"") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for member in members:
            file.writestr(member, content)
    return archive.getvalue()


def bad_gguf() -> dict[str, tuple[bytes, str]]:
    """Name to (file, what the refusal must say)."""
    whole = sample_files.tiny_gguf()
    metadata, tensors = sample_files.tiny_metadata(), sample_files.tiny_tensors()

    def with_key(key: str, kind: int, value: Any) -> bytes:
        return sample_files.tiny_gguf(metadata={**metadata, key: (kind, value)})

    def without_key(key: str) -> bytes:
        return sample_files.tiny_gguf(metadata={name: value for name, value in metadata.items() if name != key})

    u32, f32, text, array = sample_files.UINT32, sample_files.FLOAT32, sample_files.STRING, sample_files.ARRAY
    files = {
        "empty": (b"", "GGUF"), "text": (b"not a model\n" * 50, "GGUF"), "magic": (b"GGUF", "truncated"), "version":
        (sample_files.tiny_gguf(version=99),
         "version is 99"), "architecture": (with_key("general.architecture", text, "mamba"), "mamba.*must be 'llama'"),
        "layers": (with_key("llama.block_count", u32,
                            0), "llama.block_count is 0"), "layer_missing": (with_key("llama.block_count", u32,
                                                                                      3), r"blk\.2\..* is missing"),
        "heads": (with_key("llama.attention.head_count_kv", u32,
                           3), "head_count_kv is 3"), "scaling": (with_key("llama.rope.scaling.type", text,
                                                                           "yarn"), "original_context_length is missing"), "theta":
        (with_key("llama.rope.freq_base", f32,
                  float("nan")), "freq_base is nan"), "epsilon": (with_key("llama.attention.layer_norm_rms_epsilon",
                                                                           f32, -1.0), "epsilon is -1"), "eos":
        (with_key("tokenizer.ggml.eos_token_id", u32,
                  5000), "eos_token_id is 5000"), "tokenizer": (with_key("tokenizer.ggml.model", text,
                                                                         "bert"), "tokenizer.ggml.model.*'bert'.*'gpt2'.*'llama'"), "pre":
        (with_key("tokenizer.ggml.pre", text,
                  "other"), "tokenizer.ggml.pre.*other"), "merges": (with_key("tokenizer.ggml.merges", array,
                                                                              (text, ["no such"])), "merges.*no such"),
        "wrong_type": (with_key("llama.block_count", text,
                                "two"), "block_count.*two"), "nan": (sample_files.tiny_gguf(first_value=float("nan")),
                                                                     "token_embd.weight.*not finite"), "shape":
        (sample_files.tiny_gguf(tensors={**tensors, "blk.0.attn_q.weight": (8, 4)}),
         r"blk\.0\.attn_q\.weight.*\(8, 4\)"), "stray":
        (sample_files.tiny_gguf(tensors={**tensors, "stray.weight": (8, )}),
         "stray.weight"), "zip_empty": (zipped(), "0 .gguf files"), "zip_other": (zipped("a.txt"), "0 .gguf files"),
        "zip_two": (zipped("a.gguf", "b.gguf"),
                    "2 .gguf files"), "zip_bad": (zipped("a.gguf", content=b"nothing"),
                                                  "GGUF"), "zip_cut": (zipped("a.gguf", content=whole)[:-40], "archive")
    }
    for key in ("general.architecture", "llama.block_count", "llama.embedding_length", "llama.context_length",
                "tokenizer.ggml.tokens", "tokenizer.ggml.merges"):
        files[f"no_{key}"] = (without_key(key), f"{key} is missing")
    for name in ("token_embd.weight", "output_norm.weight", "blk.1.ffn_down.weight"):
        files[f"no_{name}"] = (sample_files.tiny_gguf(
            tensors={key: value
                     for key, value in tensors.items() if key != name}), f"{name} is missing")
    for size in (5, 20, 30, 100, 1000, len(whole) // 2, len(whole) - 32, len(whole) - 1):
        files[f"cut_{size}"] = (whole[:size], "truncated")
    return files


def import_to_special_places(folder: Folder, python: str) -> None:
    (folder.path / "model.gguf").write_bytes(sample_files.tiny_gguf())
    for limit in (0, 2000, 40000):
        cannot_finish(folder, f"an import where no file may exceed {limit} bytes",
                      [python, "-B", IMPORT_PY, "gguf", "model.gguf", "out.h5"], "import: ",
                      preexec_fn=small_files_only(limit))
    os.mkfifo(folder.path / "pipe")
    folder.refused("import to a pipe", [python, IMPORT_PY, "gguf", "model.gguf", "pipe"], "pipe")
    folder.checks.that((folder.path / "pipe").is_fifo(), "import to a pipe: the pipe must stay")


def import_refusals(folder: Folder, python: str, weights: bytes) -> None:
    command = [python, IMPORT_PY]
    for name, (content, word) in bad_gguf().items():
        (folder.path / "model.gguf").write_bytes(content)
        folder.refused(f"import of {name}", command + ["gguf", "model.gguf", "out.h5"], "model.gguf", word)
    (folder.path / "out.h5").write_bytes(weights)
    (folder.path / "model.gguf").write_bytes(sample_files.tiny_gguf()[:-32])
    folder.refused("import over an older file", command + ["gguf", "model.gguf", "out.h5"], "truncated")
    (folder.path / "model.gguf").write_bytes(sample_files.tiny_gguf())
    (folder.path / "notes").write_text("older")
    folder.refused("import over a text", command + ["gguf", "model.gguf", "notes"], "notes", "no HDF5 file")
    without_packages = run([python, "-S", *command[1:], "gguf", "model.gguf", "new.h5"], cwd=folder.path)
    folder.checks.refused(without_packages, "import by a bare Python", "h5py", "requirements.txt", status=3)
    (folder.path / "folder").mkdir()
    (folder.path / "weights.h5").write_bytes(weights)
    (folder.path / "text").write_text("text")
    for words, wanted in ((["gguf", "nowhere.gguf",
                            "out.h5"], ["nowhere.gguf", "no such file"]), (["gguf", "folder",
                                                                            "out.h5"], ["folder", "not a file"]),
                          (["gguf", "model.gguf", "folder"], ["folder"]), (["gguf", "model.gguf",
                                                                            "nowhere/out.h5"], ["nowhere/out.h5"]),
                          (["gguf",
                            "model.gguf"], ["OUT"]), (["gguf"], ["SOURCE"]), ([], ["command"]), (["magic"], ["magic"]),
                          (["encode"], ["--weights"]), (["encode", "--weights", "nowhere.h5"],
                                                        ["nowhere.h5"]), (["encode", "--weights", "text"], ["text"])):
        folder.refused(" ".join(["import", *words]), command + words, *wanted, stdin=b"[]")
    for stdin, word in ((b"", "JSON"), (b"{", "JSON"), (b"5", "5.*list"), (b'["a", 7]', "item 1.*7"),
                        (b'["\\ud800"]', "item 0"), (b"\xff", "JSON"), (b"[" * 100000, "JSON")):
        folder.refused(f"import encode of {stdin[:20]!r}",
                       command + ["encode", "--weights", "weights.h5"],
                       "stdin",
                       word,
                       stdin=stdin)


def main() -> None:
    arguments("", 0)
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        (root / "tiny.gguf").write_bytes(sample_files.tiny_gguf())
        checks.right(run([python, IMPORT_PY, "gguf", "tiny.gguf", "tiny.h5"], cwd=root), "import of the tiny model")
        import_refusals(Folder(checks, root / "import"), python, (root / "tiny.h5").read_bytes())
        import_to_special_places(Folder(checks, root / "places"), python)
    checks.finish()


if __name__ == "__main__":
    main()
