#!/usr/bin/env python3
"""apb cuda answers case files, and its kernel is a plug-in: apb verify passes both, and not what was changed.

  case_test.py BIN_DIR PLUGIN EXAMPLE_PLUGIN
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import Checks, arguments, program, run, skip, temporary_folder  # noqa: E402

CASES: dict[str, list[Any]] = {
    "apb, query-aware": ["--method", "apb", "--compressor", "query_aware", "--decode"],
    "apb, random": ["--method", "apb", "--compressor", "random", "--decode"],
    "apb, retaining head": ["--method", "apb", "--compressor", "retaining_head"],
    "star": ["--method", "star", "--decode"],
    "full": ["--method", "full"],
}


def main() -> None:
    bin_dir, *plugins = arguments(__doc__ or "", 3)
    gpu, make, verify = (program(bin_dir, name) for name in ("apb-cuda", "apb-case", "apb-verify"))
    checks = Checks()
    with temporary_folder() as name:
        folder = Path(name)
        case, out = folder / "case.h5", folder / "out.h5"

        def made(*options: Any) -> bool:
            return checks.right(run([make, case, *options]), f"apb case {' '.join(map(str, options))}")

        # What needs no GPU.
        checks.refused(run([gpu, case, "--output", out]), "a case that is not there", str(case))
        if made("--dtype", "float32", "--head-dim", 64):
            checks.refused(run([gpu, case, "--output", out]), "a case in float32", "value_dtype", "bfloat16 or float16")
        if made("--dtype", "bfloat16", "--head-dim", 80):
            checks.refused(run([gpu, case, "--output", out]), "heads of 80", "head_dim = 80", "64 or 128")
            checks.refused(run([gpu, case]), "no --output", "--output is missing")
            checks.refused(run([gpu, case, "--output", out, "--text", "x"]), "a case and a text", "--text", "case file")
            for words in (["--ranks", 3], ["--precision", "fp16"], ["--transport", "mpi"], ["--json"], ["--method", "ring"]):
                checks.refused(run([gpu, case, "--output", out, *words]), f"a case and {words[0]}", words[0], "case file")
            checks.refused(run([gpu, case, "--output", case]), "the case as its own output", "another file")
            checks.refused(run([gpu, case, "--output", folder / "none" / "out.h5"]), "no such folder", "none")
        checks.that(not out.exists(), "a refused run must leave nothing")
        if made("--dtype", "bfloat16", "--head-dim", 64):
            probe = run([gpu, case, "--output", out])
            if probe.status == 3 and "CUDA" in probe.err and checks.that(len(probe.error_lines()) == 1, "one line"):
                if checks.failed:
                    checks.finish()
                skip(f"not on this machine: no GPU ({probe.err.strip()})")

        for label, options in CASES.items():
            for dtype, dim in (("bfloat16", 64), ("float16", 128)):
                for lengths in (["--doc-len", 1201, "--ranks", 3], ["--doc-len", 130, "--ranks", 4]):
                    what = f"{label}, {dtype}, {dim}, {lengths}"
                    if not made(*options, "--dtype", dtype, "--head-dim", dim, *lengths):
                        continue
                    if not checks.right(run([gpu, case, "--output", out]), f"apb cuda: {what}"):
                        continue
                    require = ["out", "lse"] + (["decode"] if "--decode" in options else [])
                    if label.startswith("apb") and "random" not in label:
                        require += ["importance", "kept_positions"]
                    judged = run([verify, case, out, "--require", ",".join(require)], timeout=300)
                    checks.that(judged.status == 0, f"apb verify: {what}", f"{judged}\n{judged.out.decode()[-1500:]}")
        # A candidate of another case's inputs fails.
        if made("--dtype", "bfloat16", "--head-dim", 64, "--seed", 1) and \
                checks.right(run([gpu, case, "--output", out]), "apb cuda, seed 1") and \
                made("--dtype", "bfloat16", "--head-dim", 64, "--seed", 2):
            checks.equal(run([verify, case, out]).status, 1, "apb verify of another case's answers")
        for plugin in plugins:
            judged = run([verify, "--plugin", plugin], timeout=300)
            checks.that(judged.status == 0 and b"PASS" in judged.out, f"apb verify --plugin {plugin}",
                        f"{judged}\n{judged.out.decode()[-3000:]}")
    checks.finish()


main()
