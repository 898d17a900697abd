#!/usr/bin/env python3
"""apb verify of kernels: a top-k's picks, and plug-ins that are right, wrong, crash or hang.

  verify_kernels_test.py BIN_DIR EXAMPLE_PLUGIN WRONG_PLUGIN

Needs numpy and h5py ($APB_PYTHON).
"""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable

from tool_testing import ROOT, Checks, arguments, program, run, temporary_folder
from verify_test import EXAMPLE, Bench, python  # goes on with a Python that has both

import h5py
import numpy as np

SELECTION = ROOT / "examples" / "select_with_numpy.py"
TOP_K_KINDS = ["shared-8-bits", "shared-16-bits", "more-ties-than-kept", "relu-zeros", "all-equal", "nan-winners"]


def check_selection(bench: Bench, tool: Path) -> None:
    """The example that selects: added to a candidate or alone, for both conventions and blocks without tokens."""
    for what, words in [("plain", []), ("off tile", ["--adversarial", "off-tile"]),
                        ("empty blocks", ["--adversarial", "empty-segments"]), ("ties", ["--adversarial", "ties"]),
                        ("official", ["--convention", "official", "--anchor", 40, "--query-insert-at", 4])]:
        case, candidate = bench.folder / f"{what}.h5", bench.folder / f"{what}-selected.h5"
        bench.checks.right(run([tool, case, *words]), f"a case to select from, {what}")
        if what == "plain":
            bench.checks.right(run([python, EXAMPLE, case, candidate]), "a candidate to add to")
        for time in ("first", "second"):  # it replaces what an earlier run has left
            bench.checks.right(run([python, SELECTION, case, candidate]), f"the example that selects, {what}, {time} time")
        result = bench.verify(case, candidate, "--require", "importance,kept_positions")
        bench.checks.right(result, f"its selection, {what}")
        bench.checks.equal(result.out.decode().count("on the candidate's importance"), 5 if what == "empty blocks" else 4,
                           f"what it kept, {what}", result.out.decode())
    for kind in TOP_K_KINDS:
        case, candidate = bench.folder / f"{kind}.h5", bench.folder / f"{kind}-selected.h5"
        bench.checks.right(run([tool, case, "--adversarial", kind]), f"a case to select from, {kind}")
        bench.checks.right(run([python, SELECTION, case, candidate]), f"the example that selects, {kind}")
        bench.checks.right(bench.verify(case, candidate, "--require", "importance,kept_positions"), f"its selection, {kind}")


def check_wrong_picks(bench: Bench, tool: Path) -> None:
    """Kernels for the top-k that go wrong as real ones did: what they picked is counted."""
    def spoil(kind: str, change: Callable[[Any, Any], None]) -> str:
        case, candidate = bench.folder / "picks.h5", bench.folder / "picks-candidate.h5"
        bench.checks.right(run([tool, case, "--adversarial", kind]), f"a case of {kind}")
        with h5py.File(case) as source, h5py.File(candidate, "w") as target:
            target.attrs.update(compute_dtype="float32", out_dtype="float32")
            kept = source["rank_1/kept_positions"][:]
            change(kept, source["rank_1/importance"][:])
            target["rank_1/kept_positions"] = kept
        result = bench.verify(case, candidate)
        bench.checks.equal(result.status, 1, f"wrong picks of {kind}", result)
        return result.out.decode()

    def by_upper_bits(kept: Any, importance: Any) -> None:
        coarse = importance.view(np.uint32) & 0xFFFF0000  # as if a radix pass had only seen these
        kept[:] = 6000 + np.sort(np.argsort(-coarse.view(np.float32), axis=0, kind="stable")[:1000], axis=0).T
    text = spoil("shared-16-bits", by_upper_bits)
    wrong = [int(word) for word in re.findall(r"(\d+) of 2000 picks wrong", text)]
    bench.checks.that(len(wrong) == 1 and 1000 < wrong[0] < 1400, "wrong picks are counted", text)

    def unwritten(kept: Any, _: Any) -> None:
        kept[0, 998:] = -1
    text = spoil("all-equal", unwritten)
    words = "2 of 2000 picks wrong, 2 missing, 2 outside the document (slots never written?)"
    bench.checks.that(words in text, "slots that were never written are said", text)

    def twice(kept: Any, _: Any) -> None:
        kept[1, 4] = kept[1, 3]  # the same value, so that a comparison of sorted values passes
    text = spoil("more-ties-than-kept", twice)
    bench.checks.that("1 of 2000 picks wrong, 1 missing, 1 twice" in text, "a pick made twice is said", text)


def check_plugins(bench: Bench, example: Path, wrong: Path) -> None:
    checks = bench.checks
    report = bench.folder / "plugin.json"
    result = bench.verify("--plugin", example, bench.case, "--json", report, timeout=120)
    checks.right(result, "the example plug-in")
    checks.that("PASS without the unsupported: of 150 shapes 149 right, 0 wrong, 0 failed, 1 unsupported\n"
                in result.out.decode(), "its shapes", result.out.decode())
    checks.equal(len(json.loads(report.read_text())), 150, "its JSON")

    faults = {  # what apb-verify must say, of a kernel that is right but for this
        "crash": "the plug-in crashes: Aborted",
        "status": "the plug-in returns status 7",
        "exit": "the plug-in ends the process with exit code 3",
        "gap": "the plug-in writes outside out and lse",
        "input": "the plug-in writes outside out and lse",
        "tail": "block rows miss keys of the passing block: the last 3 of 2100 keys",
        "scale": "softmax scale missing",
        "base2": "lse in base 2",
        "batch": "rows never written: every element of out is NaN, and lse is NaN",
        "nothing": "rows never written: every element of out is NaN, and lse is NaN",
    }
    for fault, words in faults.items():
        result = bench.verify("--plugin", wrong, env={"APB_WRONG": fault}, timeout=120)
        checks.equal(result.status, 1, f"plug-in with fault {fault}", result)
        checks.that(words in result.out.decode(), f"plug-in with fault {fault}: must say: {words}",
                    result.out.decode()[-1500:])
        if fault in ("tail", "scale"):
            checks.that("wrong shapes others would have passed: allclose(1e-2, 1e-2) " in result.out.decode(),
                        "what others would have said of its shapes", result.out.decode()[-400:])
    result = bench.verify("--plugin", wrong, "--timeout", "3", env={"APB_WRONG": "hang"}, timeout=120)
    checks.equal(result.status, 1, "a plug-in that hangs", result)
    text = result.out.decode()
    checks.equal(text.count("the plug-in hangs: killed after 3 s"), 1, "only its largest shape hangs", text)
    checks.that("FAIL: of 65 shapes 14 right, 0 wrong, 1 failed, 50 unsupported\n" in text, "others go on", text)
    for declined in ("float32", "float16", "bfloat16 head_dim 128, 32, 80, 96, 192, 256"):
        checks.that(f"unsupported {declined}\n" in text, f"what it does not take is listed: {declined}", text)
    checks.equal(text.count("unsupported bfloat16 anchor"), 47, "single shapes that it does not take are listed", text)

    result = bench.verify("--plugin", wrong, env={"APB_WRONG": "unsupported"})
    checks.refused(result, "a plug-in that supports nothing", "supports none of")
    result = bench.verify("--plugin", wrong, env={"APB_WRONG": "talk"}, timeout=120)
    checks.right(result, "a plug-in that prints")
    checks.that("hello" not in result.out.decode() and "hello" in result.err, "its words go to stderr", result)

    (bench.folder / "text.so").write_text("no library")
    checks.refused(bench.verify("--plugin", "text.so"), "a library that cannot be loaded", "text.so",
                   "cannot be loaded")


def main() -> None:
    bin_dir, example, wrong = arguments("BIN_DIR EXAMPLE_PLUGIN WRONG_PLUGIN", 3)
    checks = Checks()
    with temporary_folder() as name:
        bench = Bench(checks, program(bin_dir, "apb-verify"), Path(name))
        check_selection(bench, program(bin_dir, "apb-case"))
        check_wrong_picks(bench, program(bin_dir, "apb-case"))
        check_plugins(bench, Path(example).resolve(), Path(wrong).resolve())
    checks.finish()


if __name__ == "__main__":
    main()
