#!/usr/bin/env python3
"""apb-run where memory or threads run out: status 3 and one line, never a crash and never a hang.

  no_room_test.py BIN_DIR
"""
from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from tool_testing import Checks, Result, arguments, environment, program, run, temporary_folder

ALLOWED_S = 60
TEXT_BYTES = 3000
NOBODY = 65534
MIB = 1 << 20


class Tester:
    def __init__(self, folder: Path, binaries: str) -> None:
        self.checks, self.folder, self.tool = Checks(), folder, program(binaries, "apb-run")
        folder.chmod(0o755)
        (folder / "text").write_bytes(bytes(33 + (i * i * 7 + i * 13 + i // 11) % 90 for i in range(TEXT_BYTES)))

    def run(self, *words: Any, before: Callable[[], None]) -> Result:
        command = [self.tool, "--toy", "--text", self.folder / "text", "--query", "x", "--max-answer", 1, *words]
        return run(command, timeout=ALLOWED_S, preexec_fn=before)

    def memory(self) -> None:
        """Whatever the limit: either it runs, or it says that memory has run out."""
        words = ["--precision", "double", "--method", "full", "--ranks", 2, "--nll"]
        statuses = []
        for limit in (*range(40, 260, 10), 300, 500, 4000):  # what a run needs differs by machine: a narrow grid
            result = self.run(*words, before=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit * MIB, limit * MIB)))
            if result.status == 127:  # not even its libraries have room
                continue
            statuses.append(result.status)
            self.checks.that(result.status in (0, 3) and not result.timed_out, f"{limit} MiB: right, or status 3", result)
            if result.status == 3:
                lines = [line for line in result.error_lines() if line.startswith("apb-run:")]
                self.checks.that(len(lines) == 1 and ("memory" in lines[0] or "thread" in lines[0]),
                                 f"{limit} MiB: one line that says why", result)
        print(f"memory limits: {statuses.count(0)} runs had enough, {statuses.count(3)} said that they had not")
        self.checks.that(statuses.count(0) > 0 and statuses.count(3) > 2, "both happen", statuses)

    def threads(self) -> None:
        """A limit on processes, which root does not feel."""
        def limited(count: int) -> Callable[[], None]:
            def before() -> None:
                resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
                if os.getuid() == 0:
                    os.setuid(NOBODY)
            return before

        try:
            right = self.run("--ranks", 3, before=limited(64))
        except PermissionError:
            print(f"not tried: a limit on threads ({self.tool} cannot be run by another user)")
            return
        if not self.checks.right(right, "room for 64 threads"):
            return
        for ranks, count in ((8, 4), (3, 1), (3, 3)):
            result = self.run("--ranks", ranks, before=limited(count))
            self.checks.refused(result, f"{ranks} ranks, room for {count} threads", "cannot start a thread for rank",
                                status=3)
        if len(os.sched_getaffinity(0)) > 1:
            result = self.run("--ranks", 1, "--method", "full", before=limited(2))
            self.checks.refused(result, "a rank without room for its second thread", "cannot start a thread", status=3)

    def processes_of_mpi(self) -> None:
        """Limits under which mpiexec, or a rank that MPI gives threads, has no room; some make Hydra wait for ever."""
        if os.getuid() != 0:
            print("not tried: limits on processes, each for a user of its own (only root can be another user)")
            return
        command = [self.tool, "--toy", "--text", self.folder / "text", "--query", "x", "--max-answer", 1, "--ranks", 3,
                   "--transport", "mpi"]

        def limited(count: int) -> Callable[[], None]:
            def before() -> None:
                resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
                os.setuid(NOBODY - count)
            return before

        def check(count: int, ended_early: bool) -> None:
            started = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       env=environment(), start_new_session=True, preexec_fn=limited(count))
            try:
                if ended_early:
                    time.sleep(2)
                    started.terminate()
                lines = [line for line in started.communicate(timeout=ALLOWED_S)[1].decode(errors="replace").splitlines()
                         if line.startswith("apb-run: ")]
            except subprocess.TimeoutExpired:
                lines = ["(ran past its time)"]
            what = f"room for {count} processes over MPI" + (", SIGTERM" if ended_early else "")
            wanted = (3, -signal.SIGTERM) if ended_early else (3,)
            self.checks.that(started.poll() in wanted, f"{what}: must end with {wanted}", f"{started.poll()}, {lines}")
            self.checks.that(ended_early or len(lines) == 1, f"{what}: one line that says why", lines)
            end = time.monotonic() + 10  # who is gone may still wait to be looked at
            while (left := processes_of(NOBODY - count)) and time.monotonic() < end:
                time.sleep(0.1)
            self.checks.that(not left, f"{what}: no process may stay", left)
            for pid in left:
                os.kill(pid, signal.SIGKILL)

        with ThreadPoolExecutor() as together:  # they mostly wait
            list(together.map(check, (2, 3, 4, 6, 5), (False, False, False, False, True)))


def processes_of(user: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == user:
                found.append(int(process.name))
        except OSError:  # gone meanwhile
            pass
    return found


def main() -> None:
    binaries = arguments("BIN_DIR", 1)[0]
    with temporary_folder() as name:
        tester = Tester(Path(name), binaries)
        tester.memory()
        tester.threads()
        tester.processes_of_mpi()
    tester.checks.finish()


if __name__ == "__main__":
    main()
