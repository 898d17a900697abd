#!/usr/bin/env python3
"""Where the time of a test run went: builds, labels, and the slowest tests.

  time_table.py [BUILD=SECONDS...] JUNIT_FILE...

JUnit files are those that ctest writes (--output-junit), one for each build, named after the build's folder beside it:
ctest tells the labels. Tests run side by side, so their seconds add up to more than the run took.
"""
from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

SLOWEST = 10


class Test(NamedTuple):
    build: str
    name: str
    labels: list[str]
    seconds: float


def labels_of(build: Path) -> dict[str, list[str]]:
    """Test to labels."""
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True)
    return {test["name"]: label["value"] for test in json.loads(shown.stdout)["tests"]
            for label in test.get("properties", []) if label["name"] == "LABELS"}


def tests_of(path: Path, suite: xml.Element) -> list[Test]:
    labels = labels_of(path.with_suffix(""))
    cases = [(case.get("name", ""), float(case.get("time", 0))) for case in suite.iter("testcase")]
    return [Test(path.stem, name, labels.get(name, []), seconds) for name, seconds in cases]


def line(what: str, seconds: float) -> None:
    print(f"  {what:<44}{seconds // 60:4.0f} min {seconds % 60:4.1f} s")


def main() -> None:
    builds = [word.split("=") for word in sys.argv[1:] if "=" in word]
    suites = [(path, xml.parse(path).getroot()) for path in map(Path, sys.argv[1:]) if path.suffix == ".xml" and path.exists()]
    tests = [test for path, suite in suites for test in tests_of(path, suite)]
    print("\nWhere the time went:")
    for name, seconds in builds:
        line(f"build {name}", float(seconds))
    for path, suite in suites:
        line(f"tests of {path.stem}, {len(suite.findall('testcase'))}", float(suite.get("time", 0)))
    by_label: dict[tuple[str, str], list[float]] = defaultdict(list)
    for test in tests:
        for label in test.labels:
            by_label[test.build, label].append(test.seconds)
    print("by label:")
    for (build, label), seconds in sorted(by_label.items()):
        line(f"{label} ({build}, {len(seconds)})", sum(seconds))
    print("the slowest:")
    for test in sorted(tests, key=lambda test: -test.seconds)[:SLOWEST]:
        line(f"{test.name} ({test.build})", test.seconds)


if __name__ == "__main__":
    main()
