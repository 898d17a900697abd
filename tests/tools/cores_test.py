#!/usr/bin/env python3
"""How many threads the commands run: OMP_NUM_THREADS, the processors allowed; and what waiting threads leave to others.

  cores_test.py BIN_DIR PLUGIN
"""
from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

from tool_testing import Checks, arguments, environment, program, run, temporary_folder

TEXT_BYTES = 4000


def most_threads(command: list[Any], env: dict[str, Optional[str]], processors: Optional[set[int]] = None) -> int:
    """The most threads that a command had at once; -1 if it failed."""
    allow = (lambda: os.sched_setaffinity(0, processors)) if processors else None
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment(env), preexec_fn=allow)
    most = 0
    while process.poll() is None:
        try:
            most = max(most, len(os.listdir(f"/proc/{process.pid}/task")))
        except OSError:
            break
        time.sleep(0.005)
    return most if process.wait() == 0 else -1


class Tester:
    def __init__(self, folder: Path, binaries: str, plugin: Path) -> None:
        self.checks, self.folder, self.plugin = Checks(), folder, plugin
        self.tool, self.case = program(binaries, "apb-run"), program(binaries, "apb-case")
        self.verify = program(binaries, "apb-verify")
        (folder / "text").write_bytes(bytes(33 + (i * i * 7 + i * 13 + i // 11) % 90 for i in range(TEXT_BYTES)))
        self.nproc64 = folder / "nproc64.so"
        source = folder / "nproc64.c"
        source.write_text("int get_nprocs(void) { return 64; }\nint get_nprocs_conf(void) { return 64; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(self.nproc64), str(source)], check=True)

    def command(self, *words: Any) -> list[Any]:
        return [self.tool, "--toy", "--text", self.folder / "text", "--query", "x", "--method", "full", *words]

    def limits(self) -> None:
        """One thread of a command only starts ranks and waits for them."""
        allowed = sorted(os.sched_getaffinity(0))
        one, two = {allowed[0]}, set(allowed[:2])
        # A machine of 64 processors, as far as a command can ask: only those allowed count.
        preload: dict[str, Optional[str]] = {"LD_PRELOAD": str(self.nproc64), "OMP_NUM_THREADS": None}
        for what, ranks, env, processors, wanted in (
            ("one processor", 1, preload, one, 2),
            ("as many as are allowed", 1, preload, two, 1 + len(two)),
            ("OMP_NUM_THREADS=1", 1, {**preload, "OMP_NUM_THREADS": "1"}, two, 2),
            ("OMP_NUM_THREADS=5,2 but fewer processors", 1, {**preload, "OMP_NUM_THREADS": "5,2"}, two, 1 + len(two)),
            ("4 ranks, OMP_NUM_THREADS=1", 4, {**preload, "OMP_NUM_THREADS": "1"}, two, 5),
        ):
            most = most_threads(self.command("--ranks", ranks, "--max-answer", 1), env, processors)
            self.checks.equal(most, wanted, f"apb-run, {what}: threads at most")
        case = self.folder / "case.h5"
        self.checks.right(run([self.case, case, "--doc-len", 4000, "--ranks", 2, "--with-expected"], timeout=120), "a case")
        most = most_threads([self.verify, "--plugin", self.plugin, case], preload, one)
        self.checks.equal(most, 1, "apb-verify, one processor: threads at most")

    def waiting(self) -> None:
        """Two threads take little more processor time than one: those that wait for the next loop must not spin, which
        would double it. An answer's loops are short, with much between them. The least of three runs: what else a
        machine does only adds to it."""
        least = [min(self.processor_s(threads) for _ in range(3)) for threads in ("1", "2")]
        print(f"processor time with 1 and 2 threads: {least[0]:.2f} s, {least[1]:.2f} s")
        self.checks.that(least[1] < 1.7 * least[0], "threads that wait must leave the processor to others", least)

    def processor_s(self, threads: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = run(self.command("--ranks", 1, "--max-answer", 300), env={"OMP_NUM_THREADS": threads}, timeout=120)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.checks.right(result, f"{threads} threads")
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    binaries, plugin = arguments("BIN_DIR PLUGIN", 2)
    with temporary_folder() as name:
        tester = Tester(Path(name), binaries, Path(plugin))
        tester.limits()
        tester.waiting()
    tester.checks.finish()


if __name__ == "__main__":
    main()
