#!/usr/bin/env python3
"""A rank that is killed ends the run with status 3 within 30 s; so does whoever started it, and no rank stays behind.

  killed_rank_test.py BIN_DIR

Only processes that descend from the apb-run that this script started are looked for and killed.
"""
from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Optional

from tool_testing import Checks, arguments, environment, folder_listing, program, skip, temporary_folder

RANKS = 4
ALLOWED_S = 30.0
START_S = 60.0
BUSY_S = 0.3  # processor time of the victim from which on a run is in its midst
RANK_NAMES = (b"PMI_RANK=", b"OMPI_COMM_WORLD_RANK=", b"PMIX_RANK=")


def stat_fields(pid: int) -> Optional[list[str]]:
    """Fields of /proc/PID/stat from the third (state) on; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def is_alive(pid: int, start_time: str) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX" and fields[19] == start_time


def start_time(pid: int) -> str:
    fields = stat_fields(pid)
    return fields[19] if fields else ""


def cpu_seconds(pid: int) -> float:
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def descendants(pid: int) -> list[int]:
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(int(entry))
            if fields is not None:
                parents[int(entry)] = int(fields[1])
    found, border = [], [pid]
    while border:
        border = [child for child, parent in parents.items() if parent in border]
        found += border
    return found


def rank_number(pid: int, tool: Path) -> Optional[int]:
    """Which rank a process is; None if it is no rank of this tool."""
    try:
        if os.readlink(f"/proc/{pid}/exe") != str(tool):
            return None
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    for variable in variables:
        for name in RANK_NAMES:
            if variable.startswith(name):
                return int(variable[len(name):])
    return None


def default_signals() -> None:
    """A test that runs in the background may have been started with signals ignored; a user's run is not."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Run:
    """A run over MPI that would go on for many minutes: double precision, and a million answer tokens."""

    def __init__(self, tool: Path, folder: Path, text_len: int, method: str) -> None:
        self.tool, self.folder = tool, folder
        (folder / "text").write_bytes(bytes(33 + (i * i * 7 + i * 13 + i // 11) % 90 for i in range(text_len)))
        self.before = folder_listing(folder)
        self.out, self.err = (folder / "out").open("wb"), (folder / "err").open("wb")
        command = [str(tool), "--toy", "--text", str(folder / "text"), "--query", "Where?", "--precision", "double",
                   "--method", method, "--ranks", str(RANKS), "--transport", "mpi", "--max-answer", "1000000", "--json", "--trace",
                   str(folder / "trace.h5")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
                                        env=environment(), start_new_session=True, preexec_fn=default_signals)
        self.seen: dict[int, str] = {}  # every descendant ever seen, and when it started
        self.ranks: dict[int, int] = {}

    def look(self) -> None:
        for pid in descendants(self.process.pid):
            self.seen.setdefault(pid, start_time(pid))
            number = rank_number(pid, self.tool)
            if number is not None:
                self.ranks[number] = pid

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            if ready():
                return True
            if self.process.poll() is not None:
                return ready()
            time.sleep(0.02)
        return False

    def all_busy(self) -> bool:
        return len(self.ranks) == RANKS and all(cpu_seconds(pid) >= BUSY_S for pid in self.ranks.values())

    def errors(self) -> str:
        return (self.folder / "err").read_text(errors="replace")

    def wait(self, seconds: float) -> Optional[int]:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def survivors(self, seconds: float) -> list[int]:
        """Processes of the run that are still there after so long."""
        end = time.monotonic() + seconds
        while True:
            alive = [pid for pid, started in self.seen.items() if is_alive(pid, started)]
            if not alive or time.monotonic() > end:
                return alive
            time.sleep(0.05)

    def clean_up(self) -> None:
        self.look()
        if self.process.poll() is None:
            self.process.kill()
        for pid, started in self.seen.items():
            if is_alive(pid, started):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()
        self.err.close()


def begin(checks: Checks, what: str, tool: Path, folder: Path, in_decode: bool, method: str = "apb") -> Optional[Run]:
    """Starts a run and waits until all its ranks are at work, in prefill or (after it) in the answer."""
    folder.mkdir()
    run = Run(tool, folder, 400 if in_decode else 12000, method)
    ready = run.wait_until(lambda: run.all_busy() and ("layer 4/4" in run.errors() or not in_decode), START_S)
    if checks.that(ready and run.process.poll() is None, f"{what}: {RANKS} ranks must be at work",
                   f"ranks {run.ranks}, status {run.process.poll()}, stderr: {run.errors()[:600]}"):
        return run
    run.clean_up()
    return None


def after_the_end(checks: Checks, what: str, run: Run) -> None:
    left = run.survivors(5)
    checks.that(not left, f"{what}: no process of the run may stay", left)
    # Not empty: MPICH's mpiexec tells its user on stdout that a process died.
    out = (run.folder / "out").read_text(errors="replace")
    checks.that("{" not in out and "answer" not in out, f"{what}: no half of a report on stdout", out[:300])
    checks.equal([name for name in folder_listing(run.folder) if name not in ("out", "err")], run.before,
                 f"{what}: leaves no file")


def kill_rank(checks: Checks, tool: Path, folder: Path, number: int, with_signal: signal.Signals,
              in_decode: bool, method: str) -> None:
    what = f"{with_signal.name} to rank {number} of {method} in {'its answer' if in_decode else 'prefill'}"
    run = begin(checks, what, tool, folder, in_decode, method)
    if run is None:
        return
    try:
        os.kill(run.ranks[number], with_signal)
        start = time.monotonic()
        status = run.wait(ALLOWED_S)
        print(f"{what}: status {status} after {time.monotonic() - start:.2f} s", flush=True)
        if checks.equal(status, 3, f"{what}: status within {ALLOWED_S:.0f} s", run.errors()[:1500]):
            lines = [
                line for line in run.errors().splitlines() if line.startswith("apb-run: ") and "warning" not in line
            ]
            checks.that(len(lines) == 1 and re.search(r"rank.* died", lines[0]) is not None,
                        f"{what}: one line of apb-run's own must say that a rank died", run.errors()[:1500])
            after_the_end(checks, what, run)
    finally:
        run.clean_up()


def kill_at_start(checks: Checks, tool: Path, folder: Path) -> None:
    """A rank that dies as soon as it exists, perhaps before MPI is up."""
    what = "SIGKILL to rank 1 at once"
    folder.mkdir()
    run = Run(tool, folder, 400, "apb")
    try:
        if checks.that(run.wait_until(lambda: 1 in run.ranks, START_S), f"{what}: the rank must start",
                       run.errors()[:600]):
            os.kill(run.ranks[1], signal.SIGKILL)
            start = time.monotonic()
            status = run.wait(ALLOWED_S)
            print(f"{what}: status {status} after {time.monotonic() - start:.2f} s", flush=True)
            checks.equal(status, 3, f"{what}: status within {ALLOWED_S:.0f} s", run.errors()[:1500])
            after_the_end(checks, what, run)
    finally:
        run.clean_up()


def kill_launcher(checks: Checks, tool: Path, folder: Path, with_signal: signal.Signals, whole_group: bool,
                  in_decode: bool) -> None:
    """The apb-run that the user started is killed (or Ctrl-C is pressed): its ranks must not go on for long."""
    what = f"{with_signal.name} to {'the process group (Ctrl-C)' if whole_group else 'apb-run itself'}"
    run = begin(checks, what, tool, folder, in_decode)
    if run is None:
        return
    try:
        if whole_group:
            os.killpg(run.process.pid, with_signal)
        else:
            run.process.send_signal(with_signal)
        start = time.monotonic()
        status = run.wait(ALLOWED_S)
        left = run.survivors(ALLOWED_S)
        print(f"{what}: status {status}; after {time.monotonic() - start:.2f} s {len(left)} processes are left",
              flush=True)
        checks.that(status not in (None, 0, 1, 2),
                    f"{what}: must end the run, and not as if it were right or the input bad", status)
        checks.that(
            not left, f"{what}: its ranks must end within {ALLOWED_S:.0f} s",
            ", ".join(f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}" for pid in left if stat_fields(pid)))
    finally:
        run.clean_up()


def wait_for_mpiexec(process: "subprocess.Popen[bytes]") -> Optional[int]:
    """Its process number; None if the run ended first."""
    while process.poll() is None:
        for pid in descendants(process.pid):
            try:
                if "mpi" in Path(f"/proc/{pid}/comm").read_text():
                    return pid
            except OSError:
                continue  # it has just ended
        time.sleep(0.002)
    return None


def stop_mpiexec(checks: Checks, tool: Path, folder: Path, with_signal: signal.Signals) -> None:
    """mpiexec is told to end at various moments of short runs. It then ends with 0 now and then: right is only what is whole."""
    (folder / "text").write_bytes(b"There is something in this text that fills it. " * 40)
    command = [tool, "--toy", "--text", folder / "text", "--query", "Where?", "--ranks", "3", "--transport", "mpi", "--json"]
    stopped = 0
    for attempt in range(40):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(), start_new_session=True,
                                   preexec_fn=default_signals)
        if (mpiexec := wait_for_mpiexec(process)) is not None:
            time.sleep(0.006 * attempt)
            try:
                os.kill(mpiexec, with_signal)
            except OSError:
                pass  # it has ended by itself
        try:
            out, err = process.communicate(timeout=ALLOWED_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            checks.that(False, f"mpiexec told to end by {with_signal.name}: the run hangs")
            continue
        what = f"{with_signal.name} to mpiexec, run {attempt}: status {process.returncode}"
        out = b"".join(line for line in out.splitlines(True) if not line.startswith(b"[mpiexec@"))  # what it says of the signal
        if process.returncode == 0:
            checks.that(out.startswith(b"{") and b'"answer"' in out and out.rstrip().endswith(b"}"),
                        f"{what} must come with a whole answer", out[:200])
        else:
            stopped += 1
            checks.that(process.returncode == 3 and b"apb-run: " in err, f"{what} must be 3, and say why", err[-300:])
    checks.that(stopped > 10, f"{with_signal.name}: {stopped} of 40 runs were stopped")


def main() -> None:
    if not Path("/proc/self/stat").exists():
        skip("not on this machine: /proc, to find the rank processes")
    tool = program(arguments("BIN_DIR", 1)[0], "apb-run")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        # Ring waits for a neighbour, Ulysses for an exchange of all with all, the others for gathers.
        cases = [(0, signal.SIGKILL, False, "apb"), (2, signal.SIGKILL, False, "apb"), (3, signal.SIGKILL, True, "apb"),
                 (0, signal.SIGKILL, True, "apb"), (0, signal.SIGTERM, False, "apb"), (1, signal.SIGTERM, True, "apb"),
                 (0, signal.SIGSEGV, True, "apb"), (3, signal.SIGSEGV, False, "apb"), (1, signal.SIGABRT, False, "apb"),
                 (2, signal.SIGKILL, False, "ring"), (0, signal.SIGKILL, False, "zigzag_ring"),
                 (1, signal.SIGKILL, False, "ulysses"), (2, signal.SIGKILL, False, "spava"),
                 (3, signal.SIGKILL, True, "ape"), (0, signal.SIGKILL, True, "spava")]
        for index, (number, with_signal, in_decode, method) in enumerate(cases):
            kill_rank(checks, tool, root / f"rank_{index}", number, with_signal, in_decode, method)
        kill_at_start(checks, tool, root / "start")
        for with_signal in (signal.SIGTERM, signal.SIGINT):
            stop_mpiexec(checks, tool, root, with_signal)
        # Not SIGHUP: UCX, which Debian's MPICH loads, takes it for its debugger.
        launchers = [(signal.SIGKILL, False, True), (signal.SIGTERM, False, False), (signal.SIGINT, True, True)]
        for index, (with_signal, whole_group, in_decode) in enumerate(launchers):
            kill_launcher(checks, tool, root / f"launcher_{index}", with_signal, whole_group, in_decode)
    checks.finish()


if __name__ == "__main__":
    main()
