#!/usr/bin/env python3
"""apb-run --trace on the toy model: the same over threads and MPI ranks, and every value as it must be.

  run_trace_test.py BIN_DIR

The trace is looked into if $APB_PYTHON has h5py.
"""
from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any, Optional

from tool_testing import folder_listing, run
from toy_runs import COMPRESSORS, COUNTERS, KV_HEADS, LAYERS, Layout, Tester, test_with, text_of

MINUS_INFINITY = -math.inf


class Traces(Tester):
    def trace(self,
              what: str,
              words: list[Any],
              layout: Layout,
              dtype: str = "float32",
              length: int = 400) -> Optional[Any]:
        """Runs with --trace over both transports, compares the traces, checks one; returns it."""
        dumps, report = [], None
        for transport in ("local", "mpi"):
            folder = self.folder / f"trace_{transport}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            command = self.command(*words, "--json", "--max-answer", 2, "--transport", transport, "--trace",
                                   folder / "trace.h5", length=length)
            report = self.report(f"{what}, {transport}", command)
            self.checks.equal(folder_listing(folder), ["trace.h5"], f"{what}, {transport}: writes one file")
            if report is None or self.python is None:
                return None
            dumped = run([self.python, Path(__file__).with_name("sample_files.py"), "dump", folder / "trace.h5"])
            if not self.checks.right(dumped, f"{what}, {transport}: h5py reads the trace"):
                return None
            dumps.append(json.loads(dumped.out.decode()))
        # As text, since NaN equals itself there.
        self.checks.that(json.dumps(dumps[0]) == json.dumps(dumps[1]), f"{what}: the same trace over local and mpi")
        self.trace_content(what, dumps[0], report, layout, dtype, length)
        return dumps[0]["datasets"]

    def trace_content(self, what: str, trace: Any, report: Any, layout: Layout, dtype: str, length: int) -> None:
        checks, attributes, data = self.checks, trace["attributes"], trace["datasets"]
        checks.equal({key: attributes.get(key) for key in ("schema", "version", "method")},
                     {"schema": "apb-trace", "version": 1, "method": report["method"]}, f"{what}: attributes")
        config = report["config"]
        for key in ("doc_len", "num_ranks", "query_len", "embedded_query_len", "anchor_len", "anchor_convention",
                    "query_insert_at", "compressor", "num_kept", "pool_kernel", "num_q_heads", "num_kv_heads"):
            checks.equal(attributes.get(key), config[key], f"{what}: attribute {key}")
        checks.equal(data["/block_lens"]["values"], layout.blocks, f"{what}: /block_lens")
        checks.equal(data["/tokens"]["values"], list(text_of(length)), f"{what}: /tokens")

        per_layer = layout.counters(8 if dtype == "float64" else 4)
        for name in COUNTERS:
            counted = data[f"/counters/{name}"]
            checks.equal((counted["shape"], counted["dtype"]), ([layout.ranks, LAYERS], "int64"),
                         f"{what}: /counters/{name}")
            checks.equal([sum(row) for row in counted["values"]], [rank[name] for rank in report["counters_per_rank"]],
                         f"{what}: /counters/{name} adds up to the JSON's")
            checks.equal(counted["values"], [[rank[name]] * LAYERS for rank in per_layer],
                         f"{what}: /counters/{name} per layer")

        if "nll_per_token" in report:
            values = data["/nll"]["values"]
            checks.that(len(values) == length and math.isnan(values[0]) and values[1:] == report["nll_per_token"],
                        f"{what}: /nll is NaN and then the JSON's values")
        else:
            checks.that("/nll" not in data, f"{what}: no /nll unless asked for")

        groups = sorted({name for name in data if name.startswith("/layer_")})
        wanted = sorted(f"/layer_{layer}/rank_{rank}/{name}" for layer in range(LAYERS) for rank in range(layout.ranks)
                        for name in ("importance", "kept_positions")) if layout.exchanges else []
        if checks.equal(groups, wanted, f"{what}: datasets per layer and rank"):
            for layer, rank in itertools.product(range(LAYERS) if layout.exchanges else (), range(layout.ranks)):
                group = f"/layer_{layer}/rank_{rank}"
                self.selection(f"{what}, {group}", data[group + "/importance"], data[group + "/kept_positions"], layout,
                               rank, dtype)

    def selection(self, what: str, importance: Any, kept: Any, layout: Layout, rank: int, dtype: str) -> None:
        checks, begin, candidates = self.checks, layout.begins[rank], layout.candidates[rank]
        shapes = checks.equal((importance["shape"], importance["dtype"]), ([layout.blocks[rank], KV_HEADS], dtype),
                              f"{what}: importance")
        shapes &= checks.equal((kept["shape"], kept["dtype"]), ([KV_HEADS, layout.kept[rank]], "int64"),
                               f"{what}: kept_positions")
        if not shapes:
            return
        for head in range(KV_HEADS):
            scores = {begin + row: values[head] for row, values in enumerate(importance["values"])}
            no_candidates = [position for position, score in scores.items() if score == MINUS_INFINITY]
            checks.equal(no_candidates, [position for position in scores if position not in candidates],
                         f"{what}, head {head}: importance is -inf exactly where not a candidate")
            own = kept["values"][head]
            checks.that(all(a < b for a, b in zip(own, own[1:])), f"{what}, head {head}: kept positions ascend", own)
            best = sorted(candidates, key=lambda position: (-scores[position], position))[:layout.kept[rank]]
            checks.equal(own, sorted(best), f"{what}, head {head}: the most important are kept")

    def traces(self) -> None:
        if self.python is None:
            print("not looked into: traces ($APB_PYTHON with h5py is missing)")
        for compressor in COMPRESSORS:
            self.trace(f"trace {compressor}", ["--compressor", compressor, "--ranks", 3, "--nll"],
                       Layout("apb", 400, 3, compressor))
        blocks = [100, 0, 250, 50]
        self.trace("trace, uneven", ["--ranks", 4, "--block-lens", "100,0,250,50", "--anchor", 60, "--keep", 60],
                   Layout("apb", 400, 4, block_lens=blocks, anchor=60, keep=60))
        self.trace("trace, official",
                   ["--ranks", 3, "--convention", "official", "--anchor", 40, "--query-insert-at", 7],
                   Layout("apb", 400, 3, anchor=40, official=True))
        self.trace("trace, double", ["--ranks", 2, "--precision", "double"], Layout("apb", 400, 2), dtype="float64")
        self.trace("trace, 2 bytes on 5 ranks", ["--ranks", 5, "--keep", 3, "--nll"],
                   Layout("apb", 2, 5, keep=3),
                   length=2)
        self.trace("trace, empty text", ["--ranks", 2], Layout("apb", 0, 2), length=0)
        for method in ("full", "star"):
            self.trace(f"trace, {method}", ["--method", method, "--ranks", 2], Layout(method, 400, 2))
        recent = self.trace("trace, recent, no pool",
                            ["--compressor", "recent", "--pool", 1, "--ranks", 2, "--keep", 9],
                            Layout("apb", 400, 2, "recent", keep=9))
        if recent is not None:
            self.checks.equal(recent["/layer_3/rank_0/kept_positions"]["values"], [list(range(191, 200))] * KV_HEADS,
                              "trace: 'recent' without pooling keeps the last tokens")
        # 'random' is a hash of seed, layer, head and position: the same whatever the ranks.
        scores = [
            self.trace(f"trace, random on {ranks} ranks",
                       ["--compressor", "random", "--pool", 1, "--ranks", ranks, "--seed", 7],
                       Layout("apb", 400, ranks, "random")) for ranks in (2, 4)
        ]
        if None not in scores:
            two, four = ([
                value for rank in range(ranks) for value in trace[f"/layer_1/rank_{rank}/importance"]["values"]
            ] for ranks, trace in zip((2, 4), scores))
            shared = [(a, b) for a, b in zip(two, four) if MINUS_INFINITY not in (*a, *b)]
            self.checks.that(
                len(shared) > 300 and all(a == b for a, b in shared), "trace: 'random' is the same whatever the ranks")

    def trace_replaces(self) -> None:
        """An older trace of that name is replaced, another file is not; nothing else in its folder changes."""
        folder = self.folder / "replaced"
        folder.mkdir()
        trace, other = folder / "trace.h5", folder / "other"
        other.write_text("other")
        self.checks.right(run(self.command("--trace", trace, length=30)), "a trace")
        older = trace.read_bytes()
        self.checks.right(run(self.command("--trace", trace)), "a trace over an older one")
        self.checks.that(trace.read_bytes()[1:4] == b"HDF" and trace.read_bytes() != older,
                         "a trace over an older one: it is the new one")
        self.checks.refused(run(self.command("--trace", other)), "a trace over a text", "other", "no HDF5 file")
        self.checks.equal(other.read_text(), "other", "a trace over a text: the text is as it was")
        self.checks.equal(folder_listing(folder), ["other", "trace.h5"], "a trace over an older one: nothing left over")



if __name__ == "__main__":
    test_with(Traces, Traces.traces, Traces.trace_replaces)
