#!/usr/bin/env python3
"""Several GPUs, a rank each: proves NCCL equal to loopback, then times exchanges, layers and prefills.

  multi_gpu.py BUILD_DIR [--out DIR] [--build] [--ranks N] [--quick] [--limit SECONDS] [-- ARGUMENTS OF apb scale]

    BUILD_DIR  a configured build folder; --build builds there what is needed, first
    --out      where machine.txt, scale.txt, scale.json and scale.csv go (default: the current folder)
    --ranks    a GPU each (default: all of this machine's)
    --quick    small sizes: whether all of it works, not how fast it is
    --limit    of the whole run; what has been measured until then is written

On one GPU it rehearses itself: two and four processes share it, with --quick, and what it prints says so. Without a GPU it
says so in one line and ends with 77.
"""
from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import ROOT, Checks, environment, run, skip  # noqa: E402

TARGETS = ("apb-scale", "nccl_equals_loopback", "failing_rank")
QUICK = ["--lengths", "2048", "--layers", "2", "--largest", "262144", "--parts", "exchanges,layers,prefills"]
NO_MULTICAST = {"NCCL_NVLS_ENABLE": "0"}
RECORD = ("nvidia-smi -L", "nvidia-smi", "nvidia-smi topo -m", "nvidia-smi nvlink --status", "lscpu", "uname -a", "cat /etc/os-release",
          "nvcc --version", "mpiexec --version", "free -g")


class Clock:
    """What is left of the time that the whole run may take."""

    def __init__(self, limit_s: float) -> None:
        self.start, self.limit_s = time.monotonic(), limit_s

    def left_s(self) -> float:
        return max(1.0, self.limit_s - (time.monotonic() - self.start))

    def say(self, what: str) -> None:
        print(f"[{time.monotonic() - self.start:6.1f} s] {what}", flush=True)


def number_of_gpus() -> int:
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def write_record(path: Path, commit: str) -> None:
    with path.open("w") as record:
        record.write(f"commit {commit}\n")
        for command in RECORD:
            done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
            record.write(f"\n$ {command}\n{done.stdout}{done.stderr}")


def follow(command: list[str], log: Path, seconds: float) -> int:
    """Runs a command, its standard output to ours and to a file as it comes. \\returns its status; -9: over its time."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(NO_MULTICAST), start_new_session=True)
    end = time.monotonic() + seconds
    killer = subprocess.Popen(["sh", "-c", f"sleep {seconds:.0f}; kill -TERM {process.pid}; sleep 5; kill -KILL -- -{process.pid}"],
                              stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout
    with log.open("w") as file:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            file.flush()
    status = process.wait()
    os.killpg(killer.pid, 15)
    killer.wait()
    return -9 if time.monotonic() >= end else status


def equal_to_loopback(checks: Checks, clock: Clock, program: Path, mpiexec: str, counts: list[int]) -> None:
    for ranks in counts:
        done = run([mpiexec, "--bind-to", "none", "-n", ranks, program], timeout=min(120, clock.left_s()), env=NO_MULTICAST)
        text = done.out.decode()
        checks.right(done, f"{ranks} ranks over NCCL equal loopback")
        checks.that(": 0 of" in text, f"{ranks} ranks: prefill, caches, kept positions, probabilities and answers", text)
        clock.say(text.strip())


def failing_rank_ends_all(checks: Checks, clock: Clock, program: Path, ranks: int) -> None:
    for how in ("attention", "kill"):
        done = run([program, "--how", how, "--ranks", ranks, "--failing", ranks - 1], timeout=min(60, clock.left_s()), env=NO_MULTICAST)
        checks.equal(done.status, 3, f"a rank fails ({how}): the run must end with status 3", done)
        clock.say(f"rank {ranks - 1} of {ranks} fails ({how}): all have ended after {done.seconds:.1f} s")


def refusals(checks: Checks, scale: Path) -> None:
    for words, told in ((["--lengths", 4098, "--ranks", 2], ("--lengths = 4098", "twice the 2 ranks")), (["--methods", "none"], ("--methods",)),
                        (["--model", "none"], ("model = none",)), (["--smallest", 4096, "--largest", 2048], ("--smallest = 4096",)),
                        (["--json", "/none/x"], ("cannot be created",))):
        checks.refused(run([scale, *words]), f"apb scale {words}", *told)


def remembered(build: Path, name: str) -> str:
    found = re.search(rf"^{name}:[A-Z]*=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)
    return found[1] if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--build", action="store_true")
    parser.add_argument("--ranks", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--limit", type=float, default=570)
    parser.add_argument("more", nargs="*")
    options = parser.parse_args()
    checks, clock, build = Checks(), Clock(options.limit), options.build_dir.resolve()
    if options.build:
        made = subprocess.run(["cmake", "--build", str(build), "--target", *TARGETS], stdout=subprocess.PIPE, text=True)
        if made.returncode != 0:
            sys.exit(f"{made.stdout[-3000:]}\nFAILED: the build")
        clock.say("built")
    scale = build / "bin" / "apb-scale"
    refusals(checks, scale)
    gpus = number_of_gpus()
    if gpus == 0:
        if checks.failed:
            checks.finish()
        skip("not on this machine: no GPU (nvidia-smi lists none)")
    rehearsal = gpus == 1
    ranks = options.ranks or (2 if rehearsal else gpus)
    options.out.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    write_record(options.out / "machine.txt", commit or "unknown")
    clock.say(f"{gpus} GPUs" if not rehearsal else "one GPU: a REHEARSAL with several processes on it; its times mean nothing")
    counts = [2, 4] if rehearsal else list(range(2, ranks + 1))
    equal_to_loopback(checks, clock, build / "tests" / "cuda" / "nccl_equals_loopback", remembered(build, "MPIEXEC_EXECUTABLE"), counts)
    failing_rank_ends_all(checks, clock, build / "tests" / "cuda" / "failing_rank", ranks)
    if checks.failed:
        checks.finish()  # nothing is timed that is wrong
    sizes = QUICK if rehearsal or options.quick else []
    for count in counts if rehearsal else [ranks]:
        name = f"scale_{count}"
        status = follow([str(scale), "--ranks", str(count), "--json", str(options.out / f"{name}.json"), "--csv",
                         str(options.out / f"{name}.csv"), *sizes, *options.more], options.out / f"{name}.txt", clock.left_s())
        checks.equal(status, 0, f"apb scale on {count} ranks: status")
        clock.say(f"apb scale on {count} ranks ended with {status}")
    checks.finish()


main()
