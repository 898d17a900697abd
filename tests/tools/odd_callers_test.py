#!/usr/bin/env python3
"""Callers that leave a command without something: standard error, children's endings, room for files, a folder to
build in. Each ends with the status that it would have had, or with 3 and one line; nothing half-written stays.

  odd_callers_test.py BIN_DIR
"""
from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path

from tool_testing import ROOT, Checks, arguments, program, run, temporary_folder

TOY = ["--toy", "--query", "x", "--max-answer", 1, "--ranks", 2]


def no_standard_error(checks: Checks, tool: Path, text: Path) -> None:
    def closed() -> None:
        os.close(2)

    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

    for what, before in (("closed", closed), ("full", full)):
        result = run([tool, *TOY, "--text", text], preexec_fn=before)
        checks.equal(result.status, 0, f"a sound run, standard error {what}")
        checks.that(b"answer" in result.out, f"its answer, standard error {what}", result)
        result = run([tool, *TOY, "--text", text, "--method", "magic"], preexec_fn=before)
        checks.equal(result.status, 2, f"bad input, standard error {what}")


def ignored_children(checks: Checks, tool: Path, text: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    command = [tool, *TOY, "--text", text, "--transport", "mpi"]
    checks.right(run(command, preexec_fn=ignore), "ranks of a caller that ignores its children")
    trace = text.with_name("trace.h5")

    def ignore_and_limit() -> None:
        ignore()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))  # less than the trace

    checks.right(run([*command, "--trace", trace]), "ranks that write a trace")
    checks.that(trace.stat().st_size > 1 << 14, "the trace is longer than the limit", trace.stat())
    trace.unlink()
    result = run([*command, "--trace", trace], preexec_fn=ignore_and_limit)
    checks.equal(result.status, 3, "ranks that fail, their caller ignoring its children")


def limits(checks: Checks, binaries: str, folder: Path) -> None:
    make = [program(binaries, "apb-case"), folder / "case.h5", "--random", "--doc-len", 64, "--ranks", 2, "--q-heads", 2,
            "--kv-heads", 1, "--head-dim", 16]

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    checks.refused(run(make, preexec_fn=small_files), "a limit on the size of files", "case.h5", status=3)
    checks.equal(sorted(path.name for path in folder.glob("case.h5*")), [], "nothing half-written stays")

    checks.right(run(make), "a case without a limit")
    check = [program(binaries, "apb-case"), "--check", folder / "case.h5"]
    for count in (5, 6, 8, 20):
        result = run(check, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)))
        checks.that(result.status in (0, 3, 127) and b"corrupt" not in result.err.encode(),
                    f"room for {count} open files: a sound file is not called corrupt", result)


def nowhere_to_build(checks: Checks, folder: Path) -> None:
    copied = folder / "checkout"
    copied.mkdir()
    shutil.copy2(ROOT / "apb", copied)
    shutil.copytree(ROOT / "setup", copied / "setup")
    for what, make in (("a file", lambda: (copied / "build").write_bytes(b"")),
                       ("a dangling link", lambda: (copied / "build").symlink_to(folder / "missing" / "place"))):
        make()
        checks.refused(run([copied / "apb", "explain"]), f"build is {what}", "build", status=3)
        (copied / "build").unlink()


def main() -> None:
    (binaries,) = arguments("BIN_DIR", 1)
    checks = Checks()
    with temporary_folder() as name:
        folder = Path(name)
        text = folder / "text"
        text.write_bytes(bytes(33 + i * 7 % 90 for i in range(200)))
        tool = program(binaries, "apb-run")
        no_standard_error(checks, tool, text)
        ignored_children(checks, tool, text)
        limits(checks, binaries, folder)
        nowhere_to_build(checks, folder)
    checks.finish()


if __name__ == "__main__":
    main()
