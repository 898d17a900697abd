#!/usr/bin/env python3
"""Broken, cut and damaged weights files: apb-run and apb-demo refuse them in one line, or run; no crash, no hang.

  bad_weights_test.py BIN_DIR

Needs a Python ($APB_PYTHON) with what import.py needs.
"""
from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any, Optional

import sample_files
from refusals import ALLOWED_S, Folder
from tool_testing import IMPORT_PY, Checks, arguments, program, python_with, run, skip, temporary_folder

FLIPPED_FILES = 500
FLIP_SEED = 20251
QUERY = "What?"
TEXT = "the thing that the other three thought of"

# Stands in for Python where thousands of runs would wait for its start: ten tokens of text, two of the question.
STAND_IN = """#!/bin/sh
cat > /dev/null
echo '[{"ids": [0,1,2,3,4,5,6,7,8,9], "before": [], "offsets": [[0,1],[1,2],[2,3],[3,4],[4,5],[5,6],[6,7],[7,8],[8,9],[9,10]]},
       {"ids": [1,2], "before": [], "offsets": [[0,1],[1,2]]},
       {"ids": [], "before": [], "offsets": []}]'
"""


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
        self.folder.refused("a text that is not UTF-8", command + ["--text", "latin"], "latin: byte 3 = 0xe9",
                            "UTF-8")
        self.folder.refused("a question that is not UTF-8", command[:-1] + [os.fsdecode(b"\xe9"), "--text", "text"],
                            "--query: byte 0 ", "UTF-8")
        self.folder.refused("an expected answer that is not UTF-8",
                            command + ["--text", "text", "--expect", os.fsdecode(b"x\xff")], "--expect: byte 1 ", "UTF-8")
        case = [self.tool.with_name("apb-case"), "case.h5", *command[1:], "--text", "latin"]
        self.folder.refused("apb case of a text that is not UTF-8", case, "latin: byte 3 = 0xe9", "UTF-8")
        result = run(command + ["--text", "text"], cwd=self.folder.path, env={"APB_PYTHON": "/nowhere/python"})
        self.checks.refused(result, "no Python to tokenise with", "/nowhere/python", status=3)

    def demo(self, tool: Path) -> None:
        for length in (100, len(self.whole) - 1):
            (self.folder.path / "cut.h5").write_bytes(self.whole[:length])
            self.folder.refused(f"apb-demo, weights cut at {length}", [tool, "--weights", "cut.h5"], "cut.h5")


def main() -> None:
    folder = arguments("BIN_DIR", 1)[0]
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    with temporary_folder() as name:
        weights = Weights(Folder(checks, Path(name) / "weights"), program(folder, "apb-run"), python)
        weights.untouched()
        weights.broken()
        weights.truncated()
        weights.texts()
        weights.demo(program(folder, "apb-demo"))
        weights.attribute_headers()
        weights.flipped()
    checks.finish()


if __name__ == "__main__":
    main()
