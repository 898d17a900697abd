#!/usr/bin/env python3
"""Files with random bytes in them, through the tools: each run ends with 0, 1 or 2, soon, and says why in one line.

  mutated_files_test.py BIN_DIR FORK_SERVER [COUNT]     COUNT: how many mutated files (default 10,000)

Cases go through `apb-case --check` and `apb-verify`, candidates through `apb-verify` (made by h5py, so they need
$APB_PYTHON; without it only cases are mutated). A file that fails is kept under the system's temporary folder.
"""
from __future__ import annotations

import os
import random
import resource
import shutil
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fork_server import ForkServer
from tool_testing import Checks, Result, program, python_with, run, temporary_folder

# As few bytes as can hold every part of a case: a run then takes a few milliseconds.
SMALL = ["--doc-len", 7, "--ranks", 2, "--anchor", 1, "--query-len", 2, "--keep", 2, "--q-heads", 2, "--kv-heads", 1,
         "--head-dim", 2, "--dtype", "float64", "--with-expected"]
STRUCTURE = 4096  # bytes at the start that hold the superblock, the root group and its attributes
LIMIT_S = 120  # twelve times what the child that reads first may compute: a busy machine, not a hang
SLOW_S = 4  # libhdf5 hung until the limit of the child that reads first; the summary tells how often
MEMORY = 3 << 30  # bytes of address space; the child that reads first would be granted 8 GiB
KEPT = Path(tempfile.gettempdir()) / "apb-mutated-files"

MAKE_CANDIDATE = """
import sys, h5py
with h5py.File(sys.argv[1]) as case, h5py.File(sys.argv[2], "w") as candidate:
    candidate.attrs.update(schema="apb-candidate", version=1, compute_dtype="float64", out_dtype="float64")
    for name in ("rank_0", "rank_1", "decode"):
        case.copy(name, candidate)
"""


class Way(NamedTuple):
    """A whole file, and the tool and arguments that read a mutated copy of it, which stands for None."""
    name: str
    whole: bytes
    tool: Path
    words: list[Any]


def make_ways(checks: Checks, folder: Path, case: Path, verify: Path) -> list[Way]:
    whole, alone, star = folder / "whole.h5", folder / "alone.h5", folder / "star.h5"
    for path, words in ((whole, ["--decode"]), (alone, ["--decode", "--only-rank", 1]),
                        (star, ["--method", "star"])):
        checks.right(run([case, path, *SMALL, *words]), f"making {path.name}")
    ways = [Way(path.name, path.read_bytes(), case, ["--check", None]) for path in (whole, alone, star)]
    python = python_with("h5py")
    if python is None:
        print("no $APB_PYTHON with h5py: candidates are not mutated")
        return ways
    candidate = folder / "candidate.h5"
    checks.right(run([python, "-c", MAKE_CANDIDATE, whole, candidate]), "making the candidate")
    checks.right(run([verify, whole, candidate]), "the candidate as it was made")
    return [*ways, Way("case of a candidate", whole.read_bytes(), verify, [None, candidate]),
            Way("candidate", candidate.read_bytes(), verify, [whole, None])]


def mutated(whole: bytes, number: int) -> bytes:
    """Some other bytes; for every second number all of them where the file's structure begins."""
    generator = random.Random(number)
    content = bytearray(whole)
    span = STRUCTURE if generator.random() < 0.5 else len(whole)
    for _ in range(generator.choice((1, 3, 10, 50))):
        content[generator.randrange(span)] = generator.randrange(256)
    return bytes(content)


class Servers:
    """For each thread and tool one server."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.library, self.folder, self.of = library, folder, dict[tuple[int, Path], ForkServer]()

    def run(self, tool: Path, words: list[Any]) -> Result:
        key = (threading.get_ident(), tool)
        if key not in self.of:
            folder = self.folder / f"{tool.name}-{key[0]}"
            self.of[key] = ForkServer(self.library, tool, folder, {"OMP_NUM_THREADS": "1"})
        return self.of[key].run(words, LIMIT_S)

    def close(self) -> None:
        for server in self.of.values():
            server.close()


def fault_of(result: Result) -> str:
    if result.timed_out or result.status not in (0, 1, 2):
        return "must end with 0, 1 or 2"
    if result.status == 2 and len(result.error_lines()) != 1:
        return "must say why in one line"
    return ""


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    count = int(sys.argv[3]) if len(sys.argv) == 4 else 10_000
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # of this script, and so of all that it starts
    checks = Checks()
    case, verify = (program(sys.argv[1], name) for name in ("apb-case", "apb-verify"))
    endings: dict[str, Counter[object]] = {}
    with temporary_folder() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        ways = make_ways(checks, folder, case, verify)
        servers = Servers(Path(sys.argv[2]).resolve(), folder)

        def one(number: int) -> tuple[int, Way, Result]:
            way, path = ways[number % len(ways)], folder / f"mutated_{number}.h5"
            path.write_bytes(mutated(way.whole, number))
            result = servers.run(way.tool, [path if word is None else word for word in way.words])
            if fault_of(result):
                KEPT.mkdir(exist_ok=True)
                shutil.copyfile(path, KEPT / path.name)
            path.unlink()
            return number, way, result

        for number, way, result in pool.map(one, range(count)):
            fault = fault_of(result)
            checks.that(not fault, f"mutation {number} of {way.name}, kept as {KEPT}/mutated_{number}.h5: {fault}", result)
            endings.setdefault(way.name, Counter()).update(
                [result.status] + ["slow"] * (result.seconds > SLOW_S))
        servers.close()
    for name, ending in endings.items():
        checks.that(ending[0] > 0 and ending[2] > 0, f"{name}: some must be read, some refused", ending)
        print(f"{name}: {ending[0]} read, {ending[1]} judged wrong, {ending[2]} refused; "
              f"{ending['slow']} took over {SLOW_S} s")
    checks.finish()


if __name__ == "__main__":
    main()
