#!/usr/bin/env python3
"""Runs a test program that was compiled for an x86-64 level, if this processor has the level.

  level_test.py LEVEL PROGRAM
"""
from __future__ import annotations

import os
import sys
from pathlib import Path

SKIPPED = 77
# What each level adds, by the names that /proc/cpuinfo has for them (System V ABI for x86-64, table 3.1).
ADDED = {
    "x86-64-v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "x86-64-v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
    "x86-64-v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}


def needed(level: str) -> set[str]:
    levels = list(ADDED)
    return {flag for name in levels[:levels.index(level) + 1] for flag in ADDED[name].split()}


def main() -> int:
    level, program = sys.argv[1:]
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    missing = sorted(needed(level) - set(flags.split()))
    if missing:
        print(f"SKIPPED: not on this machine: {level} (its processor lacks {', '.join(missing)})")
        return SKIPPED
    os.execv(program, [program])


if __name__ == "__main__":
    sys.exit(main())
