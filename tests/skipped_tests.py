#!/usr/bin/env python3
"""Lists the tests that were skipped, each with its reason.

  skipped_tests.py JUNIT_FILE...      as ctest --output-junit writes them

A test says why in a line "SKIPPED: reason". Where the machine cannot have what is missing (another processor, another
system), the reason begins with "not on this machine". Under CI (CI=true) any other skip fails: there everything that
./apb can set up must be there.
"""
from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Iterator, NamedTuple
from xml.etree import ElementTree

REASON = re.compile(r"^.*?SKIPPED: (.*)$", re.MULTILINE)
UNAVOIDABLE = "not on this machine"


class Skip(NamedTuple):
    build: str
    test: str
    reason: str


def skips_in(junit: Path) -> Iterator[Skip]:
    for case in ElementTree.parse(junit).iter("testcase"):
        reasons = sorted(set(REASON.findall(case.findtext("system-out") or "")))
        if not reasons and case.find("skipped") is not None:
            reasons = ["it does not say why"]
        for reason in reasons:
            yield Skip(junit.stem, case.get("name") or "?", reason)


def main() -> int:
    skips = [skip for name in sys.argv[1:] if Path(name).exists() for skip in skips_in(Path(name))]
    if not skips:
        print("No test was skipped.")
        return 0
    print("Skipped:")
    for skip in skips:
        print(f"  {skip.test} ({skip.build}): {skip.reason}")
    avoidable = [skip for skip in skips if not skip.reason.startswith(UNAVOIDABLE)]
    if os.environ.get("CI", "false").lower() not in ("", "0", "false") and avoidable:
        print(f"Under CI nothing may be skipped but what is {UNAVOIDABLE}: {len(avoidable)} too many")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
