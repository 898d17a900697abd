#!/usr/bin/env python3
"""hold_to_run.py on a made-up run of apb scale: a profile of half of the points, a set of its layers, both of use.

  hold_to_run_test.py BIN_DIR
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import ROOT, Checks, arguments, program, run, temporary_folder  # noqa: E402

SCRIPT = ROOT / "sim" / "validate" / "hold_to_run.py"
PARTS = ("norms", "qkv", "rope", "scores", "select", "wait", "attend", "output", "ffn", "swiglu")


def layer(method: str, ranks: int, ms: float) -> dict[str, Any]:
    parts = {part: 100.0 * ms for part in PARTS}
    return {"model": "Llama-3.1-8B", "doc_len": 32768, "num_ranks": ranks, "method": method, "anchor_len": 0, "num_kept": 0, "us": 1e3 * ms,
            "ranks": [{"us": 1e3 * ms, "parts_us": parts}, {"us": 1e3 * ms, "parts_us": {**parts, "wait": 500.0 * ms}}]}


def made_up_run() -> dict[str, Any]:
    """An H100's round numbers."""
    sizes = [2 ** power for power in range(16, 25)]
    return {
        "schema": "apb-bench", "version": 1,
        "machine": {"gpus": ["H100"] * 2, "versions": "none", "date": "2026-11-26", "command": "apb scale", "num_ranks": 2, "num_nodes": 1,
                    "rehearsed": False},
        "gemm": [{"m": m, "n": 6144, "k": 4096, "us": 2 * m * 6144 * 4096 / 700e6} for m in (1024, 2048, 4096, 8192, 16384)],
        "attention": [{"backend": "apb", "mask": "causal", "q_len": n, "kv_len": n, "num_q_heads": 32, "num_kv_heads": 8, "head_dim": 128,
                       "fused_segments": True, "us": 2 * 32 * 128 * n * (n + 1) / 350e6} for n in (4096, 8192, 16384, 32768, 65536)],
        "collectives": [{"kind": "all_gather", "num_ranks": 2, "num_nodes": 1, "bytes": size, "us": 10 + size / 400e3} for size in sizes],
        "exchanges": [], "layers": [layer("full", 1, 47), layer("all_gather", 2, 24)],
        "prefills": [{"model": "Llama-3.1-8B", "doc_len": 32768, "num_ranks": 1, "method": "full", "anchor_len": 0, "num_kept": 0,
                      "num_layers": 32, "us": 1.6e6, "layer_us": 47e3, "token_us": 1e4}]}


def main() -> None:
    (bin_dir,) = arguments(__doc__ or "", 1)
    sim, checks = program(bin_dir, "apb-sim"), Checks()
    with temporary_folder() as name:
        folder = Path(name)
        record = folder / "run.json"

        def hold() -> Any:
            return run([sys.executable, SCRIPT, record, "made-up", "--sim", sim, "--configs", folder])

        record.write_text(json.dumps(made_up_run()))
        done = hold()
        checks.right(done, "a run that the bounds hold for")
        checks.that("all bounds hold" in done.out.decode(), "what apb sim validate says", done.out.decode())
        profile = json.loads((folder / "machines" / "made-up.json").read_text())
        gathers = next(table for table in profile["tables"]["collectives"] if table["num_ranks"] == 2 and table["kind"] == "all_gather")
        checks.equal([row[0] for row in gathers["rows"]], [2 ** power for power in range(16, 25, 2)], "every other point")
        rows = json.loads((folder / "validation" / "made-up.json").read_text())
        checks.equal([row["ms"] for row in rows["layers"]], [47, 24], "layers, with their exchanges")
        checks.that(all(row["with_exchanges"] for row in rows["layers"]), "layers, with their exchanges")
        checks.equal(rows["prefill"][0]["seconds"], 1.504, "a prefill is its layers back to back")
        checks.equal(rows["parts"][1]["parts_ms"]["communication"], 2.4, "of waiting the least")
        checks.that("selection" not in rows["parts"][1]["parts_ms"], "packing is no selection")

        slow = made_up_run()
        slow["layers"][1]["us"] *= 2
        record.write_text(json.dumps(slow))
        checks.equal(hold().status, 1, "a layer that takes twice as long breaks a bound")
        record.write_text(json.dumps({**made_up_run(), "layers": []}))
        checks.refused(hold(), "a run without layers", "holds no layers of apb scale")
    checks.finish()


main()
