#!/usr/bin/env python3
"""The entry script: its usage, unknown commands, statuses and arguments passed on, and life without a package registry.

  entry_test.py APB

The tree without a registry is a folder of links to the real tree with a build folder of its own, so nothing is built
twice and nothing of the real tree is touched.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from tool_testing import Checks, Result, arguments, environment, folder_listing, run, temporary_folder

COMMANDS = ("demo", "explain", "run", "import", "case", "verify", "test")
BUILD_S = 1500  # the first start may build everything
NOBODY = "http://127.0.0.1:9/simple"  # the discard port: refused at once


def check_usage(checks: Checks, apb: Path) -> None:
    texts = []
    for words in ([], ["help"], ["--help"], ["-h"]):
        result = run([apb, *words])
        what = " ".join(["./apb", *words])
        checks.right(result, what)
        checks.equal(result.err, "", f"{what}: stderr")
        texts.append(result.out.decode())
    checks.that(len(set(texts)) == 1, "no command, help, --help and -h print the same")
    for command in COMMANDS:
        checks.that(f"\n  {command} " in texts[0], f"the usage lists '{command}'", texts[0])


def check_unknown(checks: Checks, apb: Path) -> None:
    for command in ("magic", "--unknown", "Demo", "demo run", "../apb", "explain;true", "-"):
        checks.refused(run([apb, command]), f"./apb '{command}'", "unknown command", *COMMANDS)


def check_explain(checks: Checks, apb: Path, folder: Path) -> None:
    """Twice, wherever HOME is and whatever the working directory."""
    first = run([apb, "explain"], timeout=BUILD_S)
    checks.right(first, "./apb explain")
    for what, env in (("HOME empty", {"HOME": ""}), ("no HOME", {"HOME": None, "XDG_CACHE_HOME": None})):
        result = run([apb, "explain"], timeout=BUILD_S, env=env, cwd=folder)
        if checks.right(result, f"./apb explain, {what}"):
            checks.equal(result.out, first.out, f"./apb explain, {what}: the same output")
            checks.equal(result.err, "", f"./apb explain, {what}: silent when nothing is to be done")
        print(f"./apb explain, {what}: {result.seconds:.2f} s (informational)")


def check_two_at_once(checks: Checks, apb: Path) -> None:
    processes = [
        subprocess.Popen([str(apb), "explain"],
                         stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE,
                         env=environment()) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=BUILD_S) for process in processes]
    checks.equal([process.returncode for process in processes], [0, 0], "two ./apb explain at once: both right",
                 outputs[1][1])


def check_passed_on(checks: Checks, apb: Path, folder: Path) -> None:
    """Arguments, working directory and status are those of the tool."""
    (folder / "a text").write_text("some text")
    result = run([apb, "run", "--toy", "--text", "a text", "--query", 'a "b"  $c', "--json", "--ranks", 2], cwd=folder)
    if checks.right(result, "./apb run --toy"):
        config = result.json()["config"]
        checks.equal((config["doc_len"], config["query_len"]), (9, 9), "./apb run: its arguments arrive as they are")
    piped = run([apb, "run", "--toy", "--text", "-", "--query", "q", "--json", "--ranks", 2], b"from a pipe")
    if checks.right(piped, "./apb run --text -"):
        checks.equal(piped.json()["config"]["doc_len"], 11, "./apb run: standard input arrives")
    checks.refused(run([apb, "run", "--toy", "--text", "nowhere", "--query", "q"], cwd=folder),
                   "./apb run on a missing text", "nowhere")
    checks.refused(run([apb, "run", "--toy", "--text", "a text", "--query", "q", "--ranks", 0], cwd=folder),
                   "./apb run --ranks 0", "ranks")
    for command in ("run", "demo", "explain"):
        result = run([apb, command, "--help"])
        checks.right(result, f"./apb {command} --help")
        checks.that(f"apb-{command}" in result.out.decode() and "--help" in result.out.decode(),
                    f"./apb {command} --help: its options")


class Offline:
    """A tree with no registry in reach: links to the real one, own build folder, home and cache."""

    def __init__(self, apb: Path, folder: Path, python: Optional[str]) -> None:
        self.tree, self.home, self.temporary = folder / "tree", folder / "home", folder / "tmp"
        root = apb.parent
        for path in (self.tree / "build", self.home, self.temporary):
            path.mkdir(parents=True)
        shutil.copy(apb, self.tree / "apb")
        for name in ("reference", "CMakeLists.txt", "CMakePresets.json", "tests"):
            (self.tree / name).symlink_to(root / name)
        (self.tree / "build" / "release").symlink_to(root / "build" / "release")
        for stamp in (root / "build").glob("packages-*"):
            shutil.copy(stamp, self.tree / "build")
        if python:  # a virtual environment that is already there
            requirements = self.tree / "reference" / "tools" / "import" / "requirements.txt"
            folder = self.tree / "build" / "venv"
            (folder / "bin").mkdir(parents=True)
            wrapper = folder / "bin" / "python"  # a link would not find that Python's packages
            wrapper.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
            wrapper.chmod(0o755)
            (folder / f"installed-{hashlib.md5(requirements.read_bytes()).hexdigest()[:12]}").touch()

    def run(self, *words: Any, stdin: bytes = b"") -> Result:
        env: dict[str, Optional[str]] = {name: None for name in os.environ if name.lower().endswith("_proxy") or
                                         name.startswith(("PIP_", "APB_", "XDG_"))}
        env.update({
            "HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"), "TMPDIR": str(self.temporary),
            "PIP_INDEX_URL": NOBODY, "PIP_EXTRA_INDEX_URL": NOBODY, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1"
        })
        return run([self.tree / "apb", *words], stdin, 300, cwd=self.tree, env=env)


def check_offline(checks: Checks, what: str, offline: Offline) -> None:
    result = offline.run("demo")
    print(f"{what}: ./apb demo took {result.seconds:.1f} s")
    if checks.right(result, f"{what}, ./apb demo"):
        lines = [line for line in result.error_lines() if "no package registry in reach" in line]
        checks.that(
            len(lines) == 1 and "toy" in lines[0], f"{what}, ./apb demo: must say that it goes on with the toy model",
            result)
        text = result.out.decode()
        checks.that("toy model" in text and text.count("rank 3 │") == 2 and "APB, query-aware" in text,
                    f"{what}, ./apb demo: the toy model's pictures and table", text[-1500:])
    result = offline.run("demo", "--json", "--transport", "local")
    if checks.right(result, f"{what}, ./apb demo --json"):
        checks.that(result.json()["model"].startswith("toy"), f"{what}, ./apb demo --json: JSON of the toy model")
    (offline.home / "text").write_text("some text")
    words = ["run", "--text", offline.home / "text", "--query", "q", "--json", "--ranks", "2"]
    result = offline.run(*words)
    checks.that(result.status == 3 and not result.out, f"{what}, ./apb run without a model: status 3", result)
    lines = [line for line in result.error_lines() if "no package registry in reach" in line]
    checks.that(
        len(lines) == 1 and "--weights" in lines[0] and "--toy" in lines[0], f"{what}, ./apb run: what to do is said",
        result)
    result = offline.run(*words, "--toy")
    checks.right(result, f"{what}, ./apb run --toy")
    checks.that("registry" not in result.err and "fetching" not in result.err,
                f"{what}, ./apb run --toy: needs no registry", result)
    checks.refused(offline.run(*words, "--weights", "nowhere.h5"), f"{what}, ./apb run --weights nowhere.h5",
                   "nowhere.h5")
    checks.refused(offline.run("demo", "--weights=nowhere.h5"), f"{what}, ./apb demo --weights=nowhere.h5",
                   "nowhere.h5")
    left = [
        name for name in folder_listing(offline.home) if name.endswith((".h5", ".whl", ".gguf")) or ".part-" in name
    ]
    checks.equal(left, [], f"{what}: no half-made model is left")
    checks.equal(folder_listing(offline.temporary), [], f"{what}: no temporary files are left")


def check_no_registry(checks: Checks, apb: Path, folder: Path) -> None:
    without_venv = Offline(apb, folder / "without", None)
    check_offline(checks, "no registry, no Python packages", without_venv)
    result = without_venv.run("import", "gguf", "a.gguf", "b.h5")
    checks.that(result.status == 3 and "requirements" in (result.error_lines() or [""])[-1],
                "no registry, ./apb import: status 3, and says why", result)
    check_offline(checks, "no registry, Python packages there",
                  Offline(apb, folder / "with",
                          os.environ.get("APB_PYTHON") or sys.executable))


def main() -> None:
    apb = Path(arguments("APB", 1)[0]).resolve()
    checks = Checks()
    with temporary_folder() as name:
        folder = Path(name)
        check_usage(checks, apb)
        check_unknown(checks, apb)
        check_explain(checks, apb, folder)
        check_passed_on(checks, apb, folder)
        check_two_at_once(checks, apb)
        check_no_registry(checks, apb, folder)
    checks.finish()


if __name__ == "__main__":
    main()
