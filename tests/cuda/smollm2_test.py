#!/usr/bin/env python3
"""The real model on the GPU: the demo's story by six methods gives what the reference gives.

  smollm2_test.py BIN_DIR

The same answer texts, and the same order of the methods by the nll of the restated digits, where the reference tells
two methods apart by a tenth of a nat; ranks over NCCL give exactly what ranks in one process give. Selection may
differ in close calls, because activations are rounded to bf16, so that nll are compared as an order.
"""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tool_testing import Checks, arguments, program, python_with, run, skip, temporary_folder  # noqa: E402

KEY = "457901"
QUERY = " What is the pass key? The pass key is"
FILLER = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. "
RANKS, ANCHOR, KEPT, DIGITS = 4, 128, 64, 6
APB = ["--method", "apb", "--anchor", ANCHOR, "--keep", KEPT]
METHODS: dict[str, list[Any]] = {
    "full": ["--method", "full"],
    "star, anchor as long as a block": ["--method", "star"],
    "star, APB's anchor": ["--method", "star", "--anchor", ANCHOR, "--embed-query"],
    "apb, query-aware": [*APB, "--compressor", "query_aware"],
    "apb, random": [*APB, "--compressor", "random"],
    "apb, recent": [*APB, "--compressor", "recent"],
}


def story() -> str:
    """The demo's text up to the restated digits, which are its last tokens (SmolLM2 has a token a digit)."""
    text = "An important pass key is hidden in the following text. Find it and remember it. "
    text += 25 * FILLER + f"The pass key is {KEY}. Remember it. {KEY} is the pass key. " + 50 * FILLER
    return text + f"I repeat it now: the pass key is {KEY}"


def main() -> None:
    (bin_dir,) = arguments(__doc__ or "", 1)
    cpu, gpu = program(bin_dir, "apb-run"), program(bin_dir, "apb-cuda")
    weights = Path(os.environ.get("APB_WEIGHTS", Path.home() / ".cache/apb/models/smollm2-135m-instruct.h5"))
    if not weights.exists():
        skip(f"no model at {weights}")
    if python_with("h5py", "tokenizers") is None:
        skip("no Python with h5py and tokenizers")
    checks = Checks()
    with temporary_folder() as name:
        text = Path(name) / "story.txt"
        text.write_text(story())
        probe = run([gpu, "--toy", "--text", text, "--query", "?"])
        if probe.status == 3 and "CUDA" in probe.err:
            skip(f"not on this machine: no GPU ({probe.err.strip()})")
        common = ["--weights", weights, "--text", text, "--query", QUERY, "--expect", f" {KEY}", "--ranks", RANKS,
                  "--max-answer", 8, "--nll", "--json"]
        nll: dict[str, dict[str, float]] = {"reference": {}, "bf16": {}, "fp16": {}}
        for label, options in METHODS.items():
            truth = run([cpu, *common, *options], timeout=900)
            if not checks.right(truth, f"apb run, {label}"):
                continue
            nll["reference"][label] = sum(truth.json()["nll_per_token"][-DIGITS:]) / DIGITS
            for precision in ("bf16", "fp16"):
                found = run([gpu, *common, *options, "--precision", precision], timeout=300)
                if not checks.right(found, f"apb cuda, {precision}, {label}"):
                    continue
                values = found.json()
                nll[precision][label] = sum(values["nll_per_token"][-DIGITS:]) / DIGITS
                checks.equal(values["answer"], truth.json()["answer"], f"{precision}, {label}: the answer")
                for count in ("attention_flop", "projection_flop", "compressor_flop", "rows_computed"):
                    checks.equal([rank[count] for rank in values["counters_per_rank"]],
                                 [rank[count] for rank in truth.json()["counters_per_rank"]], f"{label}: {count}")
                over_nccl = run([gpu, *common, *options, "--precision", precision, "--transport", "mpi"], timeout=300)
                if checks.right(over_nccl, f"apb cuda over NCCL, {precision}, {label}"):
                    for key in ("answer_tokens", "nll_per_token", "expected_nll"):
                        checks.equal(over_nccl.json()[key], values[key], f"{precision}, {label}, NCCL: {key}")
        for label in METHODS:
            print(f"{label:32}", *(f"{which} {values.get(label, float('nan')):7.3f}" for which, values in nll.items()))
        for precision in ("bf16", "fp16"):
            for one, other in ((one, other) for one in METHODS for other in METHODS):
                if nll["reference"].get(one, 0) + 0.1 < nll["reference"].get(other, 0):
                    checks.that(nll[precision][one] < nll[precision][other],
                                f"{precision}: nll of '{one}' must be below that of '{other}'", nll)
    checks.finish()


main()
