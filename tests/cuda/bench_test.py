#!/usr/bin/env python3
"""apb bench on a small model: it verifies, times every method, and writes what apb sim calibrate reads.

  bench_test.py BIN_DIR
"""
from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import Checks, arguments, program, run, skip, temporary_folder  # noqa: E402

# Ranks with work of their own at 8,192 and at 4,099 tokens, which leave the last of four blocks and chunks shorter.
METHODS = {"full": (1, 1), "zigzag_ring": (4, 4), "star": (2, 3), "apb": (4, 4), "apb_balanced": (4, 4)}


def refusals(checks: Checks, bench: Path, folder: Path) -> None:
    for words, told in ((["--models", "none"], ("model = none", "llama-3.1-8b")), (["--lengths", 100], ("--lengths", "1024")),
                        (["--ranks", 64], ("--ranks", "1 to 63")), (["--link", "nan"], ("--link", "nan")),
                        (["--json", folder / "none" / "x"], ("none/x", "cannot be created")), (["surplus"], ("surplus",))):
        checks.refused(run([bench, *words]), f"apb bench {words}", *told)
    checks.that(not list(folder.iterdir()), "a refused run must leave nothing")


def main() -> None:
    (bin_dir,) = arguments(__doc__ or "", 1)
    bench, sim = (program(bin_dir, name) for name in ("apb-bench", "apb-sim"))
    checks = Checks()
    with temporary_folder() as name:
        folder = Path(name)
        refusals(checks, bench, folder)
        record, table = folder / "bench.json", folder / "bench.csv"
        result = run([bench, "--models", "smollm2-135m", "--lengths", "8192,4099", "--ranks", 4, "--json", record, "--csv", table],
                     timeout=600)
        if result.status == 3 and "no GPU here" in result.err and checks.that(len(result.error_lines()) == 1, "one line"):
            checks.that(not list(folder.iterdir()), "a run without a GPU must leave nothing")
            if checks.failed:
                checks.finish()
            skip(f"not on this machine: no GPU ({result.err.strip()})")
        if not checks.that(result.status == 0, "apb bench", result):
            checks.finish()
        text = result.out.decode()
        checks.that("against double: right" in text, "it verifies first", text)
        written = json.loads(record.read_text())
        for place, length in enumerate((8192, 4099)):
            layers = [layer for layer in written["layers"] if layer["doc_len"] == length]
            for method, counts in METHODS.items():
                its = [layer for layer in layers if layer["method"] == method]
                checks.equal(len(its), counts[place], f"{length}: ranks of {method}", layers)
                for layer in its:
                    parts = sum(layer["parts_us"].values())
                    checks.that(abs(parts - layer["us"]) < 1e-3 * layer["us"], f"{method}: parts add up", layer)
                    checks.that(0 < layer["least_us"] <= layer["us"] <= layer["most_us"], f"{method}: a median", layer)
            lens = [layer["block_len"] for layer in layers if layer["method"] == "apb_balanced"]
            checks.equal(sum(lens), length, "balanced blocks")
            exchange = next(layer for layer in layers if layer["method"] == "apb")["exchange_us"]
            kept = -(-length // 4) // 8
            checks.that(abs(exchange - (17 + 3 * 2 * 3 * kept * 64 * 2 / 323e9 * 1e6)) < 1e-6, "what is exchanged", exchange)
        rows = list(csv.DictReader(table.open()))
        checks.equal(len({(row["doc_len"], row["method"], row["first_rank"]) for row in rows}),
                     sum(map(sum, METHODS.values())), "ranks in the CSV")
        profile = folder / "ours.json"
        checks.right(run([sim, "calibrate", "--machine", "H100", "--bench", record, "--out", profile]), "apb sim calibrate")
        checks.right(run([sim, "predict", "--machine", profile, "--model", "smollm2-135m", "--backend", "apb", "--tokens", 8192,
                          "--ranks", 4]), "apb sim predict on the new profile")
    checks.finish()


main()
