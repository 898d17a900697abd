#!/usr/bin/env python3
"""Bad input: status 2, one line that names key, value and what is allowed, and nothing left behind.

  bad_input_test.py BIN_DIR

The parts that need a weights file run if $APB_PYTHON has what import.py needs.
"""
from __future__ import annotations

import io
import os
import random
import re
import resource
import shutil
import signal
import zipfile
from pathlib import Path
from typing import Any, Callable, Optional

import sample_files
from tool_testing import IMPORT_PY, Checks, arguments, folder_listing, program, python_with, run, temporary_folder

ALLOWED_S = 30
FLIPPED_FILES = 500
FLIP_SEED = 20251
QUERY = "What?"
TEXT = "the thing that the other three thought of"

# Stands in for Python where thousands of runs would wait for its start: ten tokens of text, two of the question.
STAND_IN = """#!/bin/sh
cat > /dev/null
echo '[{"ids": [0,1,2,3,4,5,6,7,8,9], "offsets": [[0,1],[1,2],[2,3],[3,4],[4,5],[5,6],[6,7],[7,8],[8,9],[9,10]]},
       {"ids": [1,2], "offsets": [[0,1],[1,2]]}, {"ids": [], "offsets": []}]'
"""


class Folder:
    """A folder in which a command that is refused must leave everything as it was."""

    def __init__(self, checks: Checks, path: Path) -> None:
        self.checks, self.path = checks, path
        path.mkdir(exist_ok=True)

    def content(self) -> dict[str, Optional[bytes]]:
        return {name: (self.path / name).read_bytes() if (self.path / name).is_file() else None
                for name in folder_listing(self.path)}

    def refused(self, what: str, command: list[Any], *words: str, stdin: bytes = b"", **options: Any) -> None:
        before = self.content()
        result = run(command, stdin, ALLOWED_S, cwd=self.path, **options)
        self.checks.refused(result, what, *words)
        self.unchanged(what, before)

    def unchanged(self, what: str, before: dict[str, Optional[bytes]]) -> None:
        after = self.content()
        changed = sorted(name for name in {*before, *after}
                         if name not in before or name not in after or before[name] != after[name])
        self.checks.equal(changed, [], f"{what}: must leave its folder as it was; changed")
        for name in {*after} - {*before}:  # so that one left-over is reported once
            path = self.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


# ---- command lines ---------------------------------------------------------------------------------------------------

# Options after `apb-run --toy --text text --query What?`, and what the refusal must say. The text has 40 bytes.
RUN_LINES: list[tuple[list[str], list[str]]] = [
    (["--method", "magic"], ["method", "magic", "full, ring, zigzag_ring, ulysses, star, ape, apb, spava"]),
    (["--method", ""], ["--method: is empty"]),
    (["--method", "Full"], ["method", "Full", "full, ring, zigzag_ring, ulysses, star, ape, apb, spava"]),
    (["--ranks", "0"], ["ranks", "= 0", "between 1 and"]),
    (["--ranks", "-3"], ["ranks", "-3", "between 1 and"]),
    (["--ranks", "1000000"], ["ranks", "1000000", "between 1 and"]),
    (["--ranks", "four"], ["--ranks", "four"]),
    (["--ranks", "2.5"], ["--ranks", "2.5"]),
    (["--ranks", "99999999999999999999"], ["--ranks", "99999999999999999999"]),
    (["--ranks"], ["--ranks"]),
    (["--transport", "tcp"], ["transport", "tcp", "local or mpi"]),
    (["--precision", "half"], ["precision", "half", "float or double"]),
    (["--compressor", "magic"], ["compressor", "magic", "query_aware", "random", "recent", "none"]),
    (["--compressor", "none", "--keep", "3"], ["num_kept|--keep", "= 3", "none"]),
    (["--no-embed-query"], ["query_aware", "embedded"]),
    (["--convention", "strange"], ["convention", "strange", "paper", "official"]),
    (["--query-insert-at", "3"], ["query_insert_at|--query-insert-at", "= 3", "official|paper"]),
    (["--convention", "official", "--anchor", "3"], ["embedded_query_len", "= 5", "3"]),
    (["--convention", "official", "--anchor", "9", "--query-insert-at",
      "5"], ["query_insert_at|--query-insert-at", "= 5", "0 and 4"]),
    (["--convention", "official", "--anchor", "9", "--query-insert-at",
      "-1"], ["query_insert_at|--query-insert-at", "-1"]),
    (["--anchor", "-1"], ["anchor", "-1", "between 0 and"]),
    (["--anchor", "11"], ["anchor", "= 11", "10 tokens"]),
    (["--anchor", "2000000000"], ["anchor", "2000000000", "between 0 and"]),
    (["--anchor", "long"], ["--anchor", "long"]),
    (["--keep", "-1"], ["num_kept|--keep", "-1", "between 0 and"]),
    (["--keep", "4000000000"], ["num_kept|--keep", "4000000000", "between 0 and"]),
    (["--pool", "0"], ["pool", "= 0", "between 1 and"]),
    (["--pool", "4"], ["pool", "= 4", "odd"]),
    (["--pool", "-5"], ["pool", "-5", "between 1 and"]),
    (["--seed", "-1"], ["seed", "-1"]),
    (["--seed", "x"], ["seed", "x"]),
    (["--max-answer", "-1"], ["max-answer", "-1", "at least 0"]),
    (["--block-lens", "10,10"], ["block_lens|--block-lens", "2 lengths", "4"]),
    (["--block-lens", "10,10,10,11"], ["block_lens|--block-lens", "41", "40"]),
    (["--block-lens", "50,-10,0,0"], ["block_lens|--block-lens", "50|-10", "between 0 and 40"]),
    (["--block-lens", "10,10,ten,10"], ["--block-lens", "ten"]),
    (["--block-lens", "9223372036854775807,1,1,1"], ["block_lens|--block-lens", "9223372036854775807"]),
    (["--ranks", "0", "--block-lens", "40"], ["ranks", "= 0"]),
    (["--trace", "missing/trace.h5"], ["missing/trace.h5", "folder"]),
    (["--trace", "folder"], ["folder"]),
    (["--trace", "text/trace.h5"], ["text/trace.h5"]),
    (["--unknown"], ["--unknown"]),
    (["stray"], ["stray"]),
    (["--text", "text"], ["--text"]),
]


def run_command_lines(folder: Folder, tool: Path) -> None:
    (folder.path / "text").write_bytes(b"0123456789" * 4)
    (folder.path / "empty").write_bytes(b"")
    (folder.path / "folder").mkdir()
    for words, wanted in RUN_LINES:
        folder.refused(" ".join(["apb-run", *words]), [tool, "--toy", "--text", "text", "--query", QUERY, *words],
                       *wanted)
    # The same over MPI is refused before any rank starts.
    for words, wanted in RUN_LINES[0:1] + RUN_LINES[3:6] + RUN_LINES[21:23] + RUN_LINES[38:41]:
        folder.refused(" ".join(["apb-run --transport mpi", *words]),
                       [tool, "--toy", "--text", "text", "--query", QUERY, "--transport", "mpi", *words], *wanted)
    for words, wanted in ((["--query", QUERY], ["--text"]), (["--text", "text"], ["--query"]), ([], ["--query|--text"]),
                          (["--text", "text", "--query", ""], ["--query"]),
                          (["--text", "nowhere", "--query", QUERY], ["nowhere"]),
                          (["--text", "folder", "--query", QUERY], ["folder"]),
                          (["--text", "text/below", "--query", QUERY], ["text/below"]),
                          (["--text", "empty", "--query", QUERY, "--anchor", "1"], ["anchor", "= 1"])):
        folder.refused(" ".join(["apb-run --toy", *words]), [tool, "--toy", *words], *wanted)
    if os.geteuid() != 0:
        (folder.path / "empty").chmod(0)
        folder.refused("apb-run on a text that may not be read", [tool, "--toy", "--text", "empty", "--query", QUERY],
                       "empty")
    folder.checks.right(run([tool, "--toy", "--text", "text", "--query", QUERY], cwd=folder.path),
                        "the same with nothing wrong")


def special_files(folder: Folder, tool: Path) -> None:
    """What is no file must not be replaced by one: as root, --trace /dev/null would put an end to /dev/null."""
    os.mkfifo(folder.path / "pipe")
    (folder.path / "text").write_bytes(b"some text")
    folder.refused("apb-run --trace on a pipe", [tool, "--toy", "--text", "text", "--query", QUERY, "--trace", "pipe"],
                   "pipe")
    folder.checks.that((folder.path / "pipe").is_fifo(), "apb-run --trace on a pipe: the pipe must stay")


def small_files_only(limit: int) -> Callable[[], None]:
    """To be called in a child process: no file may grow beyond the limit, as on a disk that is full."""
    def set_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return set_limit


def cannot_finish(folder: Folder, what: str, command: list[Any], word: str, statuses: tuple[int, ...] = (3, ),
                  **options: Any) -> None:
    """Status 3 with a line that says why, and nothing left behind."""
    before = folder.content()
    result = run(command, timeout=ALLOWED_S, cwd=folder.path, **options)
    folder.checks.that(result.status in statuses, f"{what}: its status must be {statuses}", result)
    folder.checks.that(re.search(word, result.err) is not None, f"{what}: must say '{word}'", result)
    folder.unchanged(what, before)


def full_disk(folder: Folder, run_tool: Path, demo_tool: Path) -> None:
    (folder.path / "text").write_bytes(b"some text" * 40)
    command = [run_tool, "--toy", "--text", "text", "--query", QUERY]
    for limit in (0, 100, 2000, 20000):  # 0: it cannot even be begun, which may be bad input
        cannot_finish(folder, f"a trace where no file may exceed {limit} bytes", command + ["--trace", "trace.h5"],
                      "trace.h5", (3, ) if limit else (2, 3), preexec_fn=small_files_only(limit))
    if Path("/dev/full").is_char_device():
        for words in (command, command + ["--json"], [demo_tool, "--toy", "--transport", "local"]):
            cannot_finish(folder, f"{words[0].name} {words[-1]} with its output to a full disk",
                          ["bash", "-c", 'exec "$0" "$@" > /dev/full', *words], "apb-(run|demo): ")


def demo_command_lines(folder: Folder, tool: Path) -> None:
    for words, wanted in ((["--key", ""], ["--key: is empty"]), (["--key", "12a4"], ["key", "12a4",
                                                                                   "digits"]), (["--key",
                                                                                                 "-5"], ["key"]),
                          (["--key", "１２"], ["key", "digits"]), (["--ranks", "1"], ["ranks", "= 1",
                                                                                    "between 2 and 16"]),
                          (["--ranks", "0"], ["ranks", "= 0"]), (["--ranks",
                                                                  "17"], ["ranks", "= 17", "between 2 and 16"]),
                          (["--ranks", "-1"], ["ranks", "-1"]), (["--ranks", "many"], ["--ranks", "many"]),
                          (["--transport",
                            "tcp"], ["transport", "tcp",
                                     "local or mpi"]), (["--anchor",
                                                         "-1"], ["anchor",
                                                                 "-1"]), (["--anchor",
                                                                           "100000"], ["anchor", "100000", "tokens"]),
                          (["--keep", "-1"], ["num_kept|--keep",
                                              "-1"]), (["--unknown"], ["--unknown"]), (["stray"], ["stray"])):
        for transport in ((), ("--transport", "local")) if "--transport" not in words else ((),):
            folder.refused(" ".join(["apb-demo --toy", *words, *transport]), [tool, "--toy", *words, *transport],
                           *wanted)
    folder.refused("apb-demo, no weights", [tool, "--weights", "nowhere.h5"], "nowhere.h5")
    (folder.path / "no.h5").write_bytes(b"not HDF5 at all" * 100)
    folder.refused("apb-demo, no HDF5", [tool, "--weights", "no.h5"], "no.h5", "HDF5")
    folder.refused("apb-demo, weights from APB_WEIGHTS", [tool], "no.h5", env={"APB_WEIGHTS": "no.h5"})


def weights_without_python(folder: Folder, tool: Path) -> None:
    """Weights that are refused before any Python is needed."""
    (folder.path / "text").write_bytes(b"some text")
    (folder.path / "folder.h5").mkdir()
    (folder.path / "empty.h5").write_bytes(b"")
    (folder.path / "magic.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (folder.path / "noise.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + random.Random(3).randbytes(5000))
    for name in ("nowhere.h5", "folder.h5", "empty.h5", "magic.h5", "noise.h5", "text"):
        for transport in ("local", "mpi"):
            folder.refused(f"apb-run --weights {name}, {transport}",
                           [tool, "--weights", name, "--text", "text", "--query", QUERY, "--transport", transport],
                           re.escape(name))
    folder.refused("weights from APB_WEIGHTS", [tool, "--text", "text", "--query", QUERY],
                   "nowhere.h5",
                   env={"APB_WEIGHTS": "nowhere.h5"})
    folder.refused("weights from XDG_CACHE_HOME", [tool, "--text", "text", "--query", QUERY], "/nowhere/apb/models/",
                   env={"APB_WEIGHTS": None, "XDG_CACHE_HOME": "/nowhere"})
    folder.refused("weights from HOME", [tool, "--text", "text", "--query", QUERY], "/nowhere/.cache/apb/models/",
                   env={"APB_WEIGHTS": None, "XDG_CACHE_HOME": None, "HOME": "/nowhere"})


# ---- import.py -------------------------------------------------------------------------------------------------------

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
                                                                           "yarn"), "yarn"), "theta":
        (with_key("llama.rope.freq_base", f32,
                  float("nan")), "freq_base is nan"), "epsilon": (with_key("llama.attention.layer_norm_rms_epsilon",
                                                                           f32, -1.0), "epsilon is -1"), "eos":
        (with_key("tokenizer.ggml.eos_token_id", u32,
                  5000), "eos_token_id is 5000"), "tokenizer": (with_key("tokenizer.ggml.model", text,
                                                                         "llama"), "tokenizer.ggml.model.*gpt2"), "pre":
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
    (folder.path / "out.h5").write_text("older")
    (folder.path / "model.gguf").write_bytes(sample_files.tiny_gguf()[:-32])
    folder.refused("import over an older file", command + ["gguf", "model.gguf", "out.h5"], "truncated")
    (folder.path / "model.gguf").write_bytes(sample_files.tiny_gguf())
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


# ---- weights files ---------------------------------------------------------------------------------------------------

class Weights:
    """A tiny model, imported by import.py; broken copies of it are given to apb-run."""

    def __init__(self, folder: Folder, tool: Path, python: str) -> None:
        self.folder, self.tool, self.python, self.checks = folder, tool, python, folder.checks
        (folder.path / "text").write_text(TEXT)
        (folder.path / "tiny.gguf").write_bytes(sample_files.tiny_gguf())
        imported = run([python, IMPORT_PY, "gguf", "tiny.gguf", "tiny.h5"], cwd=folder.path)
        self.checks.right(imported, "import of the tiny model")
        self.whole = (folder.path / "tiny.h5").read_bytes()

    def command(self, name: str, transport: str = "local", tool: Optional[Path] = None) -> list[Any]:
        return [
            tool or self.tool, "--weights", name, "--text", "text", "--query", QUERY, "--json", "--ranks", 2,
            "--max-answer", 3, "--nll", "--transport", transport
        ]

    def untouched(self) -> None:
        reports = []
        for transport in ("local", "mpi"):
            result = run(self.command("tiny.h5", transport), cwd=self.folder.path)
            if self.checks.right(result, f"the tiny model, {transport}"):
                report = result.json()
                reports.append({key: value for key, value in report.items() if key not in ("prefill_s", "total_s")})
        if len(reports) == 2:
            self.checks.that(reports[0] == reports[1], "the tiny model: the same over local and mpi")
            # "th" is one token of the tiny vocabulary, every other byte is one of its own.
            self.checks.equal(reports[0]["config"]["doc_len"],
                              len(TEXT) - TEXT.count("th"), "the tiny model: its tokens")
            self.checks.that(all(0 <= token < len(sample_files.VOCABULARY) for token in reports[0]["answer_tokens"]),
                             "the tiny model: its answer is made of its tokens")

    def broken(self) -> None:
        written = run([self.python, Path(sample_files.__file__), "broken", "tiny.h5", "."], cwd=self.folder.path)
        if not self.checks.right(written, "writing broken copies"):
            return
        words = written.json()
        for name, word in words.items():
            self.folder.refused(f"weights {name}", self.command(name), re.escape(name), re.escape(word))
        for name in ("no_layers_1_down.h5", "embedding_wide.h5", "no_final_norm.h5", "tokenizer_foreign_ids.h5",
                     "version_2.h5"):
            self.folder.refused(f"weights {name}, mpi", self.command(name, "mpi"), re.escape(name),
                                re.escape(words[name]))
        for name in words:
            (self.folder.path / name).unlink()

    def truncated(self) -> None:
        size = len(self.whole)
        for length in (0, 1, 7, 8, 50, 96, 500, 512, 800, 2048, size // 4, size // 2, size - 2048, size - 8, size - 1):
            (self.folder.path / "cut.h5").write_bytes(self.whole[:length])
            self.folder.refused(f"weights cut at {length} of {size} bytes", self.command("cut.h5"), "cut.h5")
        self.folder.refused("cut weights, mpi", self.command("cut.h5", "mpi"), "cut.h5")

    def damaged(self, what: str, content: bytes, env: Optional[dict[str, Optional[str]]] = None) -> int:
        """Runs on a file of which nobody knows whether it is still right: no crash, no hang. Returns the status."""
        trace = self.folder.path / "trace.h5"
        (self.folder.path / "damaged.h5").write_bytes(content)
        result = run(self.command("damaged.h5") + ["--trace", trace.name],
                     timeout=ALLOWED_S,
                     cwd=self.folder.path,
                     env=env)
        if self.checks.that(result.status in (0, 2) and not result.timed_out, f"{what}: must end with status 0 or 2",
                            result):
            self.checks.equal(trace.exists(), result.status == 0, f"{what}: a trace if and only if it ran")
        trace.unlink(missing_ok=True)
        half_files = list(self.folder.path.glob("*.part-*"))
        self.checks.equal(half_files, [], f"{what}: leaves no half file")
        for path in half_files:
            path.unlink()
        return result.status

    def stand_in(self) -> dict[str, Optional[str]]:
        path = self.folder.path / "python"
        path.write_text(STAND_IN)
        path.chmod(0o755)
        return {"APB_PYTHON": str(path)}

    def flipped(self) -> None:
        """Random bytes replaced; every tenth file with the real Python, whose HDF5 library is another one."""
        generator, statuses, env = random.Random(FLIP_SEED), [], self.stand_in()
        for index in range(FLIPPED_FILES):
            content = bytearray(self.whole)
            # Two thirds of the files are changed in their first part, which is mostly structure.
            for _ in range(generator.choice((1, 1, 4, 40))):
                content[generator.randrange(6000 if index % 3 else len(content))] = generator.choice(
                    (0, 255, generator.randrange(256)))
            statuses.append(
                self.damaged(f"flipped file {index} (seed {FLIP_SEED})", bytes(content), env if index % 10 else None))
        print(f"flipped files: {statuses.count(0)} ran, {statuses.count(2)} were refused")
        self.checks.that(
            statuses.count(0) > 9 and statuses.count(2) > 9, "some flipped files run and some are refused", statuses)

    def attribute_headers(self) -> None:
        """The sizes that stand before an attribute's name in the file: one byte of them set to 0 or 255."""
        names = run([self.python, "-c", "import h5py, sys; print(*h5py.File(sys.argv[1]).attrs)", "tiny.h5"],
                    cwd=self.folder.path)
        env, refused = self.stand_in(), 0
        for name in names.out.decode().split():
            at = self.whole.find(name.encode() + b"\0")
            if not self.checks.that(at > 9, f"attribute {name}: its place in the file"):
                continue
            for back, value in ((back, value) for back in range(1, 10) for value in (0, 255)):
                content = bytearray(self.whole)
                content[at - back] = value
                refused += self.damaged(f"{back} bytes before attribute {name} a {value}", bytes(content), env) == 2
        self.checks.that(refused > 0, "some damaged attributes are refused")

    def texts(self) -> None:
        """A real tokenizer takes UTF-8 only; one that is missing is no bad input."""
        (self.folder.path / "latin").write_bytes(b"caf\xe9")
        command = [self.tool, "--weights", "tiny.h5", "--query", QUERY]
        self.folder.refused("a text that is not UTF-8", command + ["--text", "latin"], "latin|text", "UTF-8")
        self.folder.refused("a question that is not UTF-8", command[:-1] + [os.fsdecode(b"\xe9"), "--text", "text"],
                            "UTF-8")
        result = run(command + ["--text", "text"], cwd=self.folder.path, env={"APB_PYTHON": "/nowhere/python"})
        self.checks.refused(result, "no Python to tokenise with", "/nowhere/python", status=3)

    def demo(self, tool: Path) -> None:
        for length in (100, len(self.whole) - 1):
            (self.folder.path / "cut.h5").write_bytes(self.whole[:length])
            self.folder.refused(f"apb-demo, weights cut at {length}", [tool, "--weights", "cut.h5"], "cut.h5")


def main() -> None:
    folder = arguments("BIN_DIR", 1)[0]
    run_tool, demo_tool = program(folder, "apb-run"), program(folder, "apb-demo")
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        run_command_lines(Folder(checks, root / "run"), run_tool)
        special_files(Folder(checks, root / "special"), run_tool)
        full_disk(Folder(checks, root / "full"), run_tool, demo_tool)
        demo_command_lines(Folder(checks, root / "demo"), demo_tool)
        weights_without_python(Folder(checks, root / "no_python"), run_tool)
        if python is None:
            print("not tried: import.py and weights files ($APB_PYTHON with h5py, numpy, gguf, tokenizers is missing)")
        else:
            weights = Weights(Folder(checks, root / "weights"), run_tool, python)
            weights.untouched()
            weights.broken()
            weights.truncated()
            weights.texts()
            weights.demo(demo_tool)
            weights.attribute_headers()
            weights.flipped()
            import_refusals(Folder(checks, root / "import"), python, weights.whole)
            import_to_special_places(Folder(checks, root / "places"), python)
    checks.finish()


if __name__ == "__main__":
    main()
