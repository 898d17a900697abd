#!/usr/bin/env python3
"""apb-run and apb-demo under a user's own mpirun, of which some processes fail, and in shells with leftovers of one.

  launcher_test.py BIN_DIR

What may go wrong ends in one line and within seconds; nothing waits for a process that is gone.
"""
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Optional

from tool_testing import Checks, Result, arguments, folder_listing, program, run, temporary_folder

ALLOWED_S = 30
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")

# Runs a command that depends on the rank: the words after the rank's own marker, or those after "else".
BY_RANK = f"""import os, sys
rank = next(os.environ[name] for name in {RANK_VARIABLES} if name in os.environ)
words = sys.argv[1:]
place = words.index("rank" + rank) if "rank" + rank in words else words.index("else")
words = words[place + 1:]
ends = [at for at, word in enumerate(words) if word == "end"]
os.execv(words[0], words[:ends[0]])
"""


def one_of_each(err: str) -> str:
    """Our own lines, each once: the processes of a run say the same."""
    return "\n".join(dict.fromkeys(line for line in err.splitlines() if line.startswith("apb-")))


class Tester:
    def __init__(self, folder: Path, binaries: str, mpiexec: Optional[str]) -> None:
        self.folder, self.checks, self.mpiexec = folder, Checks(), mpiexec
        self.tool, self.demo = program(binaries, "apb-run"), program(binaries, "apb-demo")
        self.commands = [program(binaries, name) for name in ("apb-case", "apb-verify", "apb-explain")]
        (folder / "text").write_text("hello world, where are you?")
        (folder / "by_rank.py").write_text(BY_RANK)

    def command(self, *words: Any, text: str = "text") -> list[Any]:
        return [self.tool, "--toy", "--text", self.folder / text, "--query", "why", "--max-answer", 2, *words]

    def started(self, processes: int, commands: dict[int, list[Any]], others: list[Any]) -> Result:
        """Runs a command on some ranks and another on the others."""
        words: list[Any] = [sys.executable, self.folder / "by_rank.py"]
        for rank, command in commands.items():
            words += [f"rank{rank}", *command, "end"]
        assert self.mpiexec is not None
        return run([self.mpiexec, "-n", processes, *words, "else", *others, "end"], timeout=ALLOWED_S)

    def lines(self, what: str, result: Result, wanted: list[str], status: int) -> None:
        """Our own lines, in any order, and how it ended."""
        lines = sorted(line for line in result.error_lines() if line.startswith("apb-"))
        self.checks.that(not result.timed_out and result.status == status, f"{what}: must end with {status}", result)
        self.checks.equal(lines, sorted(wanted), f"{what}: its lines", result)
        self.checks.that(b"answer" not in result.out, f"{what}: no answer", result.out)

    # ---- a user's own mpirun ---------------------------------------------------------------------------------------

    def failing_ranks(self) -> None:
        right = self.command("--transport", "mpi", "--ranks", 3)
        missing = self.command("--transport", "mpi", "--ranks", 3, text="missing")
        line = f"{self.folder / 'missing'}: cannot be read"
        for rank in (0, 1, 2):
            self.lines(f"rank {rank} has no text", self.started(3, {rank: missing}, right),
                       [f"apb-run: rank {rank}: {line}"], 2)
        self.lines("ranks 1 and 2 have no text", self.started(3, {0: right}, missing), [f"apb-run: rank 1: {line}"], 2)
        self.lines("no rank has a text", self.started(3, {}, missing), [f"apb-run: {line}"], 2)
        self.lines("the command line of rank 1 is wrong",
                   self.started(3, {1: self.command("--transport", "mpi", "--ranks", "x")}, right),
                   ["apb-run: rank 1: --ranks: x: must be a whole number (see apb-run --help)"], 2)
        other_size = self.command("--transport", "mpi", "--ranks", 2)
        self.lines("rank 2 wants another number of ranks", self.started(3, {2: other_size}, right),
                   ["apb-run: rank 2: run: ranks = 2: must be the number of MPI processes (3)"], 2)
        result = self.started(3, {0: missing, 1: self.command("--transport", "mpi", "--ranks", 3, "--method", "magic")},
                              right)
        self.checks.equal(len([line for line in result.error_lines() if line.startswith("apb-run: rank")]), 2,
                          "ranks that fail in two ways: two lines", result)
        self.checks.equal(result.status, 2, "ranks that fail in two ways: status", result)

    def killed_before_mpi(self) -> None:
        """A process that a signal ends before MPI starts."""
        killed = ["/bin/sh", "-c", "sleep 0.2; kill -KILL $$"]
        result = self.started(2, {1: killed}, self.command("--transport", "mpi", "--ranks", 2))
        self.checks.that(not result.timed_out and result.status != 0, "a rank is killed before MPI starts: the end",
                         result)

    def without_transport(self) -> None:
        for tool, words in ((self.tool, self.command()), (self.demo, [self.demo, "--toy", "--transport", "local"])):
            result = self.started(2, {}, words)
            what = f"mpirun -n 2 {tool.name} over threads"
            self.checks.that(result.status == 2 and not result.timed_out, f"{what}: status 2", result)
            lines = [line for line in result.error_lines() if line.startswith("apb-")]
            self.checks.that(len(lines) == 1 and "--transport mpi" in lines[0] and "2 processes" in lines[0],
                             f"{what}: one line that says what to do", result)
            self.checks.that(b"answer" not in result.out, f"{what}: no answer", result.out)

    def one_process(self) -> None:
        """A run of one process is none: it may start ranks of its own."""
        assert self.mpiexec is not None
        for words in (["--ranks", 2], ["--transport", "mpi", "--ranks", 1], ["--transport", "mpi", "--ranks", 2]):
            result = run([self.mpiexec, "-n", 1, *self.command(*words)], timeout=ALLOWED_S)
            self.checks.right(result, f"mpirun -n 1, {words}")
            self.checks.equal(result.out.count(b"answer:"), 1, f"mpirun -n 1, {words}: one answer", result)

    def every_command_speaks(self) -> None:
        """Also in a process that is not rank 0."""
        for tool in self.commands:
            result = self.started(2, {0: ["/bin/true"]}, [tool, "--no-such-option"])
            lines = [line for line in result.error_lines() if line.startswith(tool.name)]
            self.checks.that(result.status != 0 and len(lines) == 1, f"{tool.name} as rank 1 says why it refuses",
                             result)

    def help_for_all(self) -> None:
        assert self.mpiexec is not None
        for tool in (self.tool, self.demo, *self.commands):
            self.checks.right(run([self.mpiexec, "-n", 2, tool, "--help"], timeout=ALLOWED_S), f"{tool.name} --help")

    def work_of_one_process(self) -> None:
        """Commands that have no ranks, of which each process would do the same and write the same file."""
        case = self.folder / "case.h5"
        for tool, words in zip(self.commands, (["--random", case], [case, case], [])):
            result = self.started(2, {}, [tool, *words])
            self.checks.refused(result._replace(err=one_of_each(result.err)), f"mpirun -n 2 {tool.name}",
                                "each of 2 processes .* without mpirun")

    # ---- leftovers of a launcher -----------------------------------------------------------------------------------

    def leftovers(self) -> None:
        """Variables that an interactive shell of a batch job hands on, though nobody waits in MPI."""
        closed = {"PMI_RANK": "0", "PMI_SIZE": "4", "PMI_FD": "987"}
        for leftover in ({"PMI_RANK": "0"}, {"PMI_RANK": "3"}, {"PMIX_RANK": "0"}, {"PMIX_RANK": "1"}, closed,
                         {"OMPI_COMM_WORLD_RANK": "2"}, {"PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.1.0"}):
            result = run([self.tool, "--toy", "--text", "-", "--query", "x"], b"hello world", ALLOWED_S, env=leftover)
            self.checks.right(result, f"{leftover}, text from standard input")
            result = run(self.command("--transport", "mpi", "--ranks", 2), timeout=ALLOWED_S, env=leftover)
            self.checks.right(result, f"{leftover}, own ranks")
            self.checks.equal(result.out.count(b"answer:"), 1, f"{leftover}, own ranks: one answer", result)
            result = run(self.command("--transport", "tcp"), timeout=ALLOWED_S, env=leftover)
            self.checks.refused(result, f"{leftover}, a refusal", "transport = tcp")
        self.checks.right(run([self.demo, "--toy"], timeout=2 * ALLOWED_S, env={"PMIX_RANK": "0"}), "demo, PMIX_RANK=0")

    def own_job_variable(self) -> None:
        """Without a launcher's rank, a rank of ours must not start ranks again, which would never end."""
        result = run(self.command("--transport", "mpi", "--ranks", 2), timeout=ALLOWED_S, env={"APB_JOB": "/nowhere"})
        self.checks.refused(result, "APB_JOB without a launcher", "APB_JOB", status=3)
        for job in ("/nowhere", "/proc/1/fd/0"):
            result = run(self.command(), timeout=ALLOWED_S, env={"APB_JOB": job, "PMI_RANK": "0"})
            self.checks.refused(result, f"APB_JOB={job} and a rank, both left over", "APB_JOB.* is gone", status=3)


def main() -> None:
    binaries = arguments("BIN_DIR", 1)[0]
    with temporary_folder() as name:
        tester = Tester(Path(name), binaries, shutil.which("mpiexec"))
        before = folder_listing(tester.folder)
        tester.leftovers()
        tester.own_job_variable()
        if tester.mpiexec is None:
            print("not tried: a user's own mpiexec (none on PATH)")
        else:
            tester.failing_ranks()
            tester.killed_before_mpi()
            tester.without_transport()
            tester.one_process()
            tester.every_command_speaks()
            tester.help_for_all()
            tester.work_of_one_process()
        tester.checks.equal(folder_listing(tester.folder), before, "leaves no file")
    tester.checks.finish()


if __name__ == "__main__":
    main()
