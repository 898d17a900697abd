#!/usr/bin/env python3
"""What goes wrong on a GPU ends with one clear line and the right status, and nothing hangs.

  faults_test.py BIN_DIR HOLD_GPU_MEMORY FAILING_RANK

Too little device memory for `apb cuda`; a shape that the kernels do not take; a rank that fails over NCCL while the
others wait for it ("-" for FAILING_RANK: built without NCCL).
"""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import Checks, Result, arguments, program, run, skip, temporary_folder  # noqa: E402

ALLOWED_S = 30  # a run of three ranks on one GPU with its start
MOST_MIB = 4096  # more than the job and CUDA's own needs


class HeldMemory:
    """A process that takes all of the GPU's memory but so many MiB."""

    def __init__(self, holder: str) -> None:
        self.process = subprocess.Popen([holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def leave(self, mib: int) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{mib}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=60)


def too_little_memory(checks: Checks, gpu: Path, holder: str, case: Path, out: Path) -> None:
    """Looks for the least memory with which the case runs: with less, whatever cannot be had, it says so."""
    held, lines = HeldMemory(holder), []
    try:
        fails, runs = 0, MOST_MIB
        while runs - fails > 16:
            middle = 0 if not lines else (fails + runs) // 2
            checks.that(held.leave(middle) != "", f"memory must be held but for {middle} MiB")
            found = run([gpu, case, "--output", out], timeout=120)
            if found.status == 0:
                runs = middle
                continue
            fails = middle
            checks.refused(found, f"{middle} MiB free", "memory|ALLOC", status=3)
            lines.append(found.err)
        print(f"apb cuda runs with {runs} MiB free, not with {fails}: {lines[-1].strip() if lines else ''}")
        checks.that(runs < MOST_MIB, f"{MOST_MIB} MiB must be enough")
        checks.that(any("bytes are wanted" in line for line in lines), "some line must name the bytes", lines)
    finally:
        held.end()
    checks.right(run([gpu, case, "--output", out], timeout=120), "the same case when memory is there again")


def own_lines(result: Result) -> list[str]:
    """Lines of ours; mpiexec adds its own."""
    return [line for line in result.error_lines() if line.startswith(("rank ", "failing_rank: "))]


def failing_ranks(checks: Checks, program_path: str) -> None:
    expected = {"start": (3, "on purpose"), "scores": (3, "on purpose"), "attention": (3, "on purpose"),
                "memory": (3, "1099511627776 bytes are wanted"), "input": (2, "test: how = input"), "kill": (3, "died")}
    whole = run([program_path, "--how", "none"], timeout=120)
    checks.right(whole, "ranks of which none fails")
    print(f"none: {whole.seconds:.1f} s")
    for how, (status, words) in expected.items():
        for failing in (0, 2):
            found = run([program_path, "--how", how, "--failing", failing], timeout=2 * ALLOWED_S)
            what = f"rank {failing} fails, {how}"
            print(f"{what}: status {found.status} after {found.seconds:.1f} s")
            checks.equal(found.status, status, f"{what}: status", found)
            checks.that(found.seconds < ALLOWED_S, f"{what}: all must end within {ALLOWED_S} s", found)
            lines = own_lines(found)
            why = [line for line in lines if words in line]
            # A rank whose partner has gone may say so before it is ended itself.
            others = [line for line in lines if line not in why and "NCCL" not in line]
            checks.that(len(why) == 1 or (how == "kill" and lines), f"{what}: one line must say '{words}'", found)
            checks.equal(others, [], f"{what}: lines of ours that say something else", found)
            if why and how != "kill":
                checks.that(why[0].startswith(f"rank {failing}: "), f"{what}: the line must name the rank", found)


def main() -> None:
    bin_dir, holder, failing_rank = arguments(__doc__ or "", 3)
    gpu, make = program(bin_dir, "apb-cuda"), program(bin_dir, "apb-case")
    checks = Checks()
    with temporary_folder() as name:
        case, out, text = Path(name) / "case.h5", Path(name) / "out.h5", Path(name) / "text"
        made = run([make, case, "--dtype", "bfloat16", "--head-dim", 128, "--method", "full", "--ranks", 1,
                    "--doc-len", 40000], timeout=300)
        if not checks.right(made, "apb case"):
            checks.finish()
        probe = run([gpu, case, "--output", out], timeout=120)
        if probe.status == 3 and "CUDA" in probe.err and "memory" not in probe.err:
            skip(f"not on this machine: no GPU ({probe.err.strip()})")
        checks.right(probe, "apb cuda with all memory")
        too_little_memory(checks, gpu, holder, case, out)
        text.write_text("The toy's heads are too small. " * 20)
        checks.refused(run([gpu, "--toy", "--text", text, "--query", "?"]), "the toy model", "head_dim = 16", "64 or 128")
        if failing_rank == "-":
            print("not checked: ranks over NCCL, which this build has not")
        else:
            failing_ranks(checks, failing_rank)
    checks.finish()


main()
