#!/usr/bin/env python3
"""examples/what_others_would_say.py on a small document: what docs/what-others-would-say.md shows at paper size.

  others_table_test.py BIN_DIR

Needs numpy and h5py ($APB_PYTHON).
"""
from __future__ import annotations

import re
from pathlib import Path

from tool_testing import ROOT, Checks, arguments, python_with, run, skip

PAGE = ROOT / "docs" / "what-others-would-say.md"


def rows_of(text: str) -> dict[str, list[str]]:
    """Verdicts of a table, by mistake; widths of windows count as equal."""
    found = re.findall(r"^(\S.*?) {2,}(PASS|FAIL) +(pass|FAIL) \S+ % +(pass|FAIL) \S+ % +(pass|FAIL) \S+ % +(pass|FAIL) \S+$",
                       text, re.M)
    return {re.sub(r"[\d,]+ keys$", "# keys", name): list(verdicts) for name, *verdicts in found}


def main() -> None:
    (bin_dir,) = arguments("BIN_DIR", 1)
    python = python_with("h5py", "numpy")
    if python is None:
        skip("no Python with h5py and numpy")
    checks = Checks()
    example = ROOT / "examples" / "what_others_would_say.py"
    result = run([python, example, "--bin", Path(bin_dir).resolve(), "--doc-len", "4096", "--rows", "24"], timeout=280)
    checks.right(result, "the table of a small document")
    small, shown = rows_of(result.out.decode()), rows_of(PAGE.read_text())
    checks.equal(sorted(small), sorted(shown), "the page shows every mistake", result.out.decode())
    checks.that(len(small) > 10, "the table has its rows", result.out.decode())
    right = "none: a right kernel"
    for table, name in ((small, "the small table"), (shown, "the page")):
        checks.equal(table.pop(right, None), ["PASS", "pass", "pass", "pass", "pass"], f"{name}: a right kernel passes")
        checks.equal({verdicts[0] for verdicts in table.values()}, {"FAIL"}, f"{name}: no wrong one passes apb verify", table)
    checks.that("unknown pattern" not in result.out.decode(), "every mistake is named", result.out.decode())
    tile = shown.get("one tile of 64 keys lost", [])
    checks.equal(tile, ["FAIL", "pass", "pass", "pass", "pass"], "the page: at paper size others pass a lost tile")
    checks.finish()


if __name__ == "__main__":
    main()
