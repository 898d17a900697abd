#!/usr/bin/env python3
"""Files with random bytes in them, through the tools: each run ends with 0, 1 or 2, soon, and says why in one line.

  mutated_files_test.py BIN_DIR [MUTATIONS]     MUTATIONS: how many mutated files (default 10,000)

Half of them go through `apb-case --check`, the others through `apb-verify` as the case or as the candidate. A file that
fails is kept under KEPT and named.
"""
from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tool_testing import Argument, Checks, Result, program, run, temporary_folder

SMALL = ["--doc-len", 7, "--ranks", 2, "--anchor", 1, "--query-len", 2, "--keep", 2, "--q-heads", 2, "--kv-heads", 1,
         "--head-dim", 2]
WHOLE = [*SMALL, "--with-expected", "--decode"]
STRUCTURE = 4096  # bytes at the start: superblock, root group, its attributes, first rank's group
LIMIT_S = 30
SLOW_S = 5
KEPT = Path(tempfile.gettempdir()) / "apb-mutated-files"


class Way(NamedTuple):
    """A file to mutate, and the tool that reads it among others."""
    source: Path
    before: list[Argument]
    after: list[Argument]


def ways(checks: Checks, case: Path, verify: Path, folder: Path) -> list[Way]:
    whole, alone, star = folder / "whole.h5", folder / "alone.h5", folder / "star.h5"
    for path, words in ((whole, WHOLE), (alone, [*WHOLE, "--only-rank", 1]),
                        (star, [*SMALL, "--method", "star", "--dtype", "float64"])):
        checks.right(run([case, path, *words]), path.name)
    # A case with its truth holds what a candidate does, but for two attributes.
    candidate = folder / "candidate.h5"
    checks.right(run([sys.executable, "-c", MAKE_CANDIDATE, whole, candidate]), "candidate")
    checks.right(run([verify, whole, candidate]), "the candidate is right")
    return [Way(whole, [case, "--check"], []), Way(whole, [verify], [candidate]), Way(alone, [case, "--check"], []),
            Way(candidate, [verify, whole], []), Way(star, [case, "--check"], []), Way(candidate, [verify, whole], [])]
