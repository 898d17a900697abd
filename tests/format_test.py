#!/usr/bin/env python3
"""All C++ and CUDA files are formatted by .clang-format. Versions of clang-format differ, so only version 14 judges.

  format_test.py ROOT
"""
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "14"
SKIPPED = 77


def find_clang_format() -> str | None:
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path and f"version {VERSION}." in subprocess.run([path, "--version"], capture_output=True, text=True).stdout:
            return path
    return None


def main() -> int:
    root = Path(sys.argv[1])
    files = sorted(path for folder in ("cuda", "reference", "sim", "tests") for path in (root / folder).rglob("*")
                   if path.suffix in (".cpp", ".hpp", ".cu", ".cuh"))
    if not files:
        print(f"no C++ files under {root}")
        return 1
    clang_format = find_clang_format()
    if clang_format is None:
        print(f"SKIPPED: not on this machine: no clang-format {VERSION}")
        return SKIPPED
    return subprocess.run([clang_format, "--dry-run", "--Werror", *map(str, files)]).returncode


if __name__ == "__main__":
    sys.exit(main())
