#!/usr/bin/env python3
"""apb-run on the toy model: the same answer over threads and MPI ranks, counters in closed form, output, trace.

  run_test.py BIN_DIR

The trace is looked into if $APB_PYTHON has h5py.
"""
from __future__ import annotations

import itertools
import json
import math
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Optional

from tool_testing import Checks, arguments, environment, folder_listing, program, python_with, run, temporary_folder

# The toy model's shape (apb --toy), for the closed forms.
LAYERS, HIDDEN, FFN, Q_HEADS, KV_HEADS, HEAD_DIM, CONTEXT_LEN = 4, 96, 256, 6, 2, 16, 8192
METHODS = ("full", "star", "apb")
COMPRESSORS = ("query_aware", "random", "recent", "none")
TEXT_LENS = (0, 1, 2, 37, 400)
QUERY = "Where is it?"
SECONDS = ("prefill_s", "total_s")
COUNTERS = ("rows_computed", "attention_flop", "projection_flop", "compressor_flop", "bytes_received", "bytes_sent",
            "nan_scores")
MINUS_INFINITY = -math.inf


def text_of(length: int) -> bytes:
    """Bytes that follow no short pattern, ASCII."""
    return bytes(33 + (i * i * 7 + i * 13 + i // 11) % 90 for i in range(length))


class Layout:
    """Who holds what, written down again from docs/contracts.md."""

    def __init__(self, method: str, doc_len: int, ranks: int, compressor: str = "query_aware",
                 query_len: int = len(QUERY), block_lens: Optional[list[int]] = None, anchor: Optional[int] = None,
                 keep: Optional[int] = None, official: bool = False) -> None:
        block = -(-doc_len // ranks)
        self.blocks = block_lens or [max(0, min(block, doc_len - rank * block)) for rank in range(ranks)]
        first = self.blocks[0]
        if method == "full":
            self.blocks, anchor, embedded, compressor = [doc_len] + [0] * (ranks - 1), 0, 0, "none"
        elif method == "star":
            anchor, embedded, compressor = first if anchor is None else anchor, 0, "none"
        else:
            anchor, embedded = first // 4 if anchor is None else anchor, query_len
        keep = 0 if compressor == "none" else first // 8 if keep is None else keep
        self.anchor_len, self.embedded, self.compressor, self.ranks = anchor, embedded, compressor, ranks
        self.num_kept = keep
        rows = anchor if official else embedded + anchor
        self.anchor_rows = [0] + [rows] * (ranks - 1)
        self.begins = [sum(self.blocks[:rank]) for rank in range(ranks)]
        self.candidates = [range(begin + (anchor if rank == 0 else 0), begin + length)
                           for rank, (begin, length) in enumerate(zip(self.begins, self.blocks))]
        self.exchanges = ranks > 1 and compressor != "none"
        self.kept = [min(keep, len(own)) if self.exchanges else 0 for own in self.candidates]

    def counters(self, element_bytes: int = 4) -> list[dict[str, int]]:
        """Of one layer, per rank."""
        result = []
        entry_bytes = 2 * KV_HEADS * HEAD_DIM * element_bytes  # a key and a value
        query_bytes = self.embedded * Q_HEADS * HEAD_DIM * element_bytes
        width = 2 * Q_HEADS * HEAD_DIM + 2 * KV_HEADS * HEAD_DIM + 3 * FFN
        scored = self.exchanges and self.compressor == "query_aware"
        for rank, (anchor, block) in enumerate(zip(self.anchor_rows, self.blocks)):
            passing = sum(self.kept[:rank])
            pairs = anchor * (anchor + 1) // 2 + block * (block + 1) // 2 + block * (anchor + passing)
            received = (sum(self.kept) - self.kept[rank]) * entry_bytes
            sent = self.kept[rank] * (self.ranks - 1) * entry_bytes
            result.append({"rows_computed": anchor + block, "attention_flop": 4 * HEAD_DIM * Q_HEADS * pairs,
                           "projection_flop": 2 * (anchor + block) * HIDDEN * width,
                           "compressor_flop": 2 * block * KV_HEADS * HEAD_DIM if scored else 0,
                           "bytes_received": received + (query_bytes if scored and rank == 0 else 0),
                           "bytes_sent": sent + (query_bytes if scored and rank == 1 else 0), "nan_scores": 0})
        return result


def without_seconds(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in SECONDS}


class Tester:
    def __init__(self, tool: Path, folder: Path) -> None:
        self.tool, self.folder, self.checks = tool, folder, Checks()
        self.python = python_with("h5py")
        for length in TEXT_LENS:
            (folder / f"text_{length}").write_bytes(text_of(length))

    def text(self, length: int) -> Path:
        path = self.folder / f"text_{length}"
        if not path.exists():
            path.write_bytes(text_of(length))
        return path

    def command(self, *words: Any, length: int = 400, query: str = QUERY) -> list[Any]:
        return [self.tool, "--toy", "--text", self.text(length), "--query", query, *words]

    def report(self, what: str, command: list[Any], **options: Any) -> Optional[dict[str, Any]]:
        """The JSON of a run that must go right."""
        result = run(command, **options)
        if not self.checks.right(result, what):
            return None
        try:
            report = result.json()
        except ValueError as error:
            self.checks.that(False, f"{what}: stdout must be one JSON value ({error})", result.out[:300])
            return None
        return report if self.checks.that(isinstance(report, dict), f"{what}: must print a JSON object") else None

    def agree(self, what: str, command: list[Any]) -> Optional[dict[str, Any]]:
        """The JSON of a run over threads, which must equal that over MPI."""
        local = self.report(f"{what}, local", command + ["--json"])
        mpi = self.report(f"{what}, mpi", command + ["--json", "--transport", "mpi"])
        if local is None or mpi is None:
            return None
        for key in sorted({*local, *mpi} - {*SECONDS}):
            self.checks.that(local.get(key) == mpi.get(key), f"{what}: '{key}' must be the same over local and mpi",
                             f"local {str(local.get(key))[:200]}\n    mpi   {str(mpi.get(key))[:200]}")
        return local

    def counters(self, what: str, report: dict[str, Any], layout: Layout, element_bytes: int = 4) -> None:
        found = [{name: rank[name] for name in COUNTERS} for rank in report["counters_per_rank"]]
        wanted = [{name: value * LAYERS for name, value in rank.items()} for rank in layout.counters(element_bytes)]
        self.checks.equal(found, wanted, f"{what}: counters per rank")
        per_layer = [(rank["rows_per_layer"], rank["bytes_received_per_layer"]) for rank in report["counters_per_rank"]]
        self.checks.equal(per_layer, [(rank["rows_computed"], rank["bytes_received"])
                                      for rank in layout.counters(element_bytes)], f"{what}: counters per layer")
        config = report["config"]
        self.checks.equal([config[key] for key in ("block_lens", "anchor_len", "embedded_query_len", "num_kept")],
                          [layout.blocks, layout.anchor_len, layout.embedded, layout.num_kept],
                          f"{what}: block_lens, anchor_len, embedded_query_len, num_kept")

    # ---- local and mpi ---------------------------------------------------------------------------------------------

    def every_method(self) -> None:
        for method, ranks, length in itertools.product(METHODS, (1, 2, 3, 5), TEXT_LENS):
            reports = []
            for compressor in COMPRESSORS if method == "apb" else ("query_aware",):
                what = f"{method} {compressor}, {ranks} ranks, {length} bytes"
                words = ["--method", method, "--compressor", compressor, "--ranks", ranks, "--nll", "--expect", "there",
                         "--max-answer", 3]
                report = self.agree(what, self.command(*words, length=length))
                if report is None:
                    continue
                reports.append(report)
                self.counters(what, report, Layout(method, length, ranks, compressor))
                self.checks.equal(
                    (report["method"], len(report["answer_tokens"]), len(report.get("nll_per_token", []))),
                    (method, 3, max(0, length - 1)), f"{what}: method, answer tokens, nll values")
                self.checks.that(0 < report["expected_nll"] < 50, f"{what}: nll of the expected answer",
                                 report["expected_nll"])
            if ranks == 1 and len(reports) == len(COMPRESSORS):  # one rank selects nothing
                self.checks.that(
                    all(report["answer_tokens"] == reports[0]["answer_tokens"] and
                        report.get("nll_per_token") == reports[0].get("nll_per_token")
                        for report in reports), f"apb, 1 rank, {length} bytes: no compressor changes anything")

    def compressors_that_are_not_used(self) -> None:
        """Full and Star keep nothing, so the compressor changes nothing."""
        for method in ("full", "star"):
            reports = [
                self.report(
                    f"{method} {compressor}",
                    self.command("--method", method, "--compressor", compressor, "--max-answer", 3, "--nll", "--json"))
                for compressor in COMPRESSORS
            ]
            if None not in reports:
                self.checks.that(all(without_seconds(report) == without_seconds(reports[0]) for report in reports),
                                 f"{method}: the compressor must change nothing")

    def uneven_blocks(self) -> None:
        for blocks, anchor in (([100, 0, 250, 50], 20), ([0, 150, 0, 250], 0), ([1, 399], 1), ([398, 1, 1], 100)):
            lens = ",".join(map(str, blocks))
            what = f"blocks {lens}"
            report = self.agree(what, self.command("--ranks", len(blocks), "--block-lens", lens, "--anchor", anchor,
                                                   "--keep", 30, "--nll", "--max-answer", 3))
            if report is not None:
                self.counters(what, report, Layout("apb", 400, len(blocks), block_lens=blocks, anchor=anchor, keep=30))

    def official_convention(self) -> None:
        for insert_at in (0, 5, 28):
            what = f"official, query after {insert_at}"
            report = self.agree(what, self.command("--convention", "official", "--anchor", 40, "--query-insert-at",
                                                   insert_at, "--ranks", 3, "--keep", 9, "--nll", "--max-answer", 3))
            if report is not None:
                self.counters(what, report, Layout("apb", 400, 3, anchor=40, keep=9, official=True))
                self.checks.equal((report["config"]["anchor_convention"], report["config"]["query_insert_at"]),
                                  ("official", insert_at), f"{what}: its configuration")

    def double_precision(self) -> None:
        words = ["--ranks", 3, "--nll", "--max-answer", 3]
        report = self.agree("double", self.command(*words, "--precision", "double"))
        single = self.report("float", self.command(*words, "--json"))
        if report is None or single is None:
            return
        self.counters("double", report, Layout("apb", 400, 3), element_bytes=8)
        difference = max(abs(a - b) for a, b in zip(report["nll_per_token"], single["nll_per_token"]))
        self.checks.that(0 < difference < 1e-3, "double and float: nll differs by rounding, and only by that",
                         difference)

    def identities(self) -> None:
        """What must hold between runs, whatever the numbers are."""
        full = self.report("full", self.command("--method", "full", "--ranks", 1, "--nll", "--max-answer", 3, "--json"))
        spread = self.report("full, 5 ranks",
                             self.command("--method", "full", "--ranks", 5, "--nll", "--max-answer", 3, "--json"))
        alone = self.report("apb, 1 rank", self.command("--ranks", 1, "--nll", "--max-answer", 3, "--json"))
        short = self.report("full, 37 bytes",
                            self.command("--method", "full", "--ranks", 1, "--nll", "--json", length=37))
        apb = self.report("apb", self.command("--ranks", 4, "--nll", "--max-answer", 3, "--json"))
        seeds = [
            self.report(f"seed {seed}",
                        self.command("--ranks", 4, "--nll", "--compressor", "random", "--seed", seed, "--json"))
            for seed in (0, 0, 1)
        ]
        if None in (full, spread, alone, short, apb, *seeds):
            return
        nll = full["nll_per_token"]
        self.checks.equal(spread["nll_per_token"], nll, "full on 5 ranks and on 1: the same nll")
        self.checks.equal(alone["nll_per_token"], nll, "apb on 1 rank is full: the same nll")
        # text_of(37) starts as text_of(400) does, and no token sees a later one.
        self.checks.that(
            max(abs(a - b) for a, b in zip(nll, short["nll_per_token"])) < 1e-4, "nll must not depend on later tokens")
        self.checks.that(apb["nll_per_token"] != nll, "apb on 4 ranks must differ from full")
        first = apb["config"]["block_lens"][0]
        self.checks.that(max(abs(a - b) for a, b in zip(nll[:first - 1], apb["nll_per_token"])) < 1e-4,
                         "rank 0 of apb sees what full sees: the same nll inside its block")
        mean = sum(nll) / len(nll)
        self.checks.that(abs(full["text_nll"] - mean) < 1e-9 and min(nll) >= 0, "text_nll is the mean of nll_per_token",
                         (full["text_nll"], mean))
        same, again, other = (seed["nll_per_token"] for seed in seeds)
        self.checks.that(same == again and same != other, "the random compressor follows its seed, and only that")

    def one_core(self) -> None:
        """Results do not depend on the number of OpenMP threads."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return
        command = self.command("--ranks", 2, "--nll", "--max-answer", 3, "--json")
        many = self.report("all cores", command)
        one = self.report("one core", command, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
        if many is not None and one is not None:
            self.checks.that(
                without_seconds(many) == without_seconds(one), "one core and all cores must give the same JSON")

    # ---- what is printed -------------------------------------------------------------------------------------------

    def output(self) -> None:
        for transport in ("local", "mpi"):
            result = run(self.command("--json", "--ranks", 2, "--transport", transport))
            if self.checks.right(result, f"--json, {transport}"):
                self.checks.that(isinstance(result.json(), dict),
                                 f"--json, {transport}: JSON and nothing else on stdout")
                self.checks.that("layer" in result.err and all(re.fullmatch(r"apb: layer \d+/4", line) for line in
                                                               result.error_lines()),
                                 f"--json, {transport}: progress, and nothing else, on stderr", result)
            result = run(self.command("--ranks", 3, "--transport", transport, "--expect", "x", "--nll"))
            if self.checks.right(result, f"text, {transport}"):
                text = result.out.decode(errors="replace")
                rows = [line for line in text.splitlines() if re.match(r"\s*\d+\s+\d+\s", line)]
                self.checks.equal(len(rows), 3, f"text, {transport}: a line per rank", text)
                for word in ("answer:", "nll of the expected answer", "nll of the text", "prefill", "received KiB"):
                    self.checks.that(word in text, f"text, {transport}: must say '{word}'", text)
            self.checks.that("answer:" not in result.err, f"text, {transport}: results go to stdout")

    def progress_on_terminal(self) -> None:
        """On a terminal every layer is shown as it is done."""
        for transport in ("local", "mpi"):
            ours, theirs = pty.openpty()
            process = subprocess.Popen([
                str(word) for word in self.command("--json", "--ranks", 2, "--transport", transport)
            ],
                                       stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE,
                                       stderr=theirs,
                                       env=environment())
            os.close(theirs)
            out = process.communicate(timeout=60)[0]
            shown = b""
            try:
                while piece := os.read(ours, 65536):
                    shown += piece
            except OSError:  # Linux says so when nobody holds the other end
                pass
            os.close(ours)
            layers = re.findall(r"layer (\d+)/(\d+)", shown.decode(errors="replace"))
            self.checks.equal(layers, [(str(layer), "4") for layer in range(1, 5)],
                              f"progress on a terminal, {transport}: every layer", shown)
            self.checks.that(process.returncode == 0 and isinstance(json.loads(out), dict),
                             f"progress on a terminal, {transport}: right, and JSON on stdout")

    def standard_input(self) -> None:
        wanted = self.report("a file", self.command("--json", "--ranks", 3, "--max-answer", 3))
        command = [self.tool, "--toy", "--text", "-", "--query", QUERY, "--json", "--ranks", 3, "--max-answer", 3]
        for transport in ("local", "mpi"):
            found = self.report(f"stdin, {transport}", command + ["--transport", transport], stdin=text_of(400))
            if wanted is not None and found is not None:
                self.checks.that(
                    without_seconds(wanted) == without_seconds(found), f"stdin, {transport}: as from a file")

    def binary_text(self) -> None:
        """Any bytes are a text to the toy model, and its answer, which is no UTF-8, is still printed as JSON."""
        path = self.folder / "binary"
        path.write_bytes(bytes(range(256)) + b"\0\n\xff")
        report = self.report("all bytes", [self.tool, "--toy", "--text", path, "--query", "\n", "--json", "--ranks", 2])
        self.checks.that(report is not None and report["config"]["doc_len"] == 259, "all bytes: every byte is a token")

    def no_answer(self) -> None:
        report = self.report("no answer", self.command("--json", "--max-answer", 0))
        self.checks.that(report is not None and report["answer"] == "" and report["answer_tokens"] == [],
                         "--max-answer 0")

    # ---- lengths ---------------------------------------------------------------------------------------------------

    def context(self) -> None:
        """A text that is too long is run, with a warning that names both lengths."""
        fits = CONTEXT_LEN - len(QUERY) - 1
        words = ["--method", "star", "--anchor", 8, "--ranks", 4, "--max-answer", 1, "--json"]
        for transport, extra in itertools.product(("local", "mpi"), (0, 1)):
            what = f"{fits + extra} bytes, {transport}"
            result = run(self.command(*words, "--transport", transport, length=fits + extra), timeout=120)
            self.checks.right(result, what)
            warnings = [line for line in result.error_lines() if "warning" in line]
            self.checks.equal(len(warnings), extra, f"{what}: warnings", result)
            self.checks.that(all(str(CONTEXT_LEN) in line and str(CONTEXT_LEN + 1) in line for line in warnings),
                             f"{what}: the warning names both lengths", warnings)

    def options_of_other_methods(self) -> None:
        """What a method does not use is said in one line; it changes nothing."""
        for method, given, unused in (("star", ["--keep", 3], "--keep"), ("full", ["--anchor", 3], "--anchor"),
                                      ("spava", ["--no-embed-query"], "--embed-query"),
                                      ("apb", ["--ape-scale", 0.5], "--ape-scale"),
                                      ("ring", ["--compressor", "random", "--keep", 2], "--compressor, --keep"),
                                      ("apb", ["--keep", 3], None), ("star", ["--no-embed-query"], None)):
            for transport in ("local", "mpi"):
                what = f"{method} {given}, {transport}"
                result = run(self.command("--method", method, *given, "--ranks", 2, "--json", "--transport", transport))
                notes = [line for line in result.error_lines() if "note" in line]
                wanted = [] if unused is None else [f"apb-run: note: method {method} does not use {unused}"]
                self.checks.right(result, what)
                self.checks.equal(notes, wanted, f"{what}: notes")

    def long_text_over_mpi(self) -> None:
        """The job of a long text is larger than any pipe's buffer."""
        report = self.report("20,000 bytes, mpi",
                             self.command("--method",
                                          "star",
                                          "--anchor",
                                          8,
                                          "--ranks",
                                          8,
                                          "--nll",
                                          "--json",
                                          "--max-answer",
                                          1,
                                          "--transport",
                                          "mpi",
                                          length=20000),
                             timeout=180)
        self.checks.that(report is not None and len(report["nll_per_token"]) == 19999,
                         "20,000 bytes, mpi: an nll per token")

    # ---- a user's own mpiexec --------------------------------------------------------------------------------------

    def own_mpiexec(self) -> None:
        mpiexec = shutil.which("mpiexec")
        if mpiexec is None:
            print("not tried: a user's own mpiexec (none on PATH)")
            return
        launch = [mpiexec, "-n", 3]
        words = ["--ranks", 3, "--max-answer", 3, "--json"]
        wanted = self.report("3 ranks, local", self.command(*words))
        found = self.report("own mpiexec", launch + self.command(*words, "--transport", "mpi"))
        if wanted is not None and found is not None:
            self.checks.that(without_seconds(wanted) == without_seconds(found), "own mpiexec: the same JSON as local")
        for ranks in (1, 2, 4):
            self.checks.refused(run(launch + self.command("--ranks", ranks, "--transport", "mpi")),
                                f"own mpiexec of 3 processes, --ranks {ranks}", "ranks", str(ranks), "3")
        trace = self.folder / "mismatch.h5"
        self.checks.refused(run(launch + self.command("--ranks", 2, "--transport", "mpi", "--trace", trace)),
                            "mismatch, trace", "ranks")
        self.checks.equal(list(self.folder.glob("mismatch*")), [], "mismatch: leaves no file")
        self.checks.refused(run(launch + self.command("--ranks", 3, "--transport", "mpi", "--method", "magic")),
                            "own mpiexec, unknown method", "method", "magic")

        what = "own mpiexec, text longer than the context"
        result = run(launch + self.command("--ranks",
                                           3,
                                           "--method",
                                           "star",
                                           "--anchor",
                                           8,
                                           "--max-answer",
                                           1,
                                           "--transport",
                                           "mpi",
                                           length=CONTEXT_LEN),
                     timeout=120)
        self.checks.right(result, what)
        self.checks.equal(result.err.count("warning"), 1, f"{what}: warns once", result)

        what = "own mpiexec, text from standard input"  # which mpiexec gives to one process only
        result = run(launch + [self.tool, "--toy", "--text", "-", "--query", QUERY, *words, "--transport", "mpi"],
                     text_of(400), 30)
        if self.checks.that(not result.timed_out and result.status in (0, 2), f"{what}: runs or is refused", result):
            if result.status == 0 and wanted is not None:
                self.checks.equal(without_seconds(result.json()), without_seconds(wanted), f"{what}: as from a file")

    # ---- the trace -------------------------------------------------------------------------------------------------

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
        """An older file of that name is replaced; nothing else in its folder changes."""
        folder = self.folder / "replaced"
        folder.mkdir()
        (folder / "trace.h5").write_text("old")
        (folder / "other").write_text("other")
        self.checks.right(run(self.command("--trace", folder / "trace.h5")), "a trace over an older file")
        self.checks.equal(folder_listing(folder), ["other", "trace.h5"],
                          "a trace over an older file: nothing left over")
        self.checks.that((folder / "trace.h5").read_bytes()[1:4] == b"HDF",
                         "a trace over an older file: it is the new one")


def main() -> None:
    tool = program(arguments("BIN_DIR", 1)[0], "apb-run")
    with temporary_folder() as name:
        tester = Tester(tool, Path(name))
        for test in (tester.output, tester.progress_on_terminal, tester.standard_input, tester.binary_text,
                     tester.no_answer, tester.compressors_that_are_not_used, tester.identities, tester.one_core,
                     tester.uneven_blocks, tester.official_convention, tester.double_precision, tester.traces,
                     tester.trace_replaces, tester.context, tester.options_of_other_methods, tester.own_mpiexec, tester.long_text_over_mpi,
                     tester.every_method):
            test()
    tester.checks.finish()


if __name__ == "__main__":
    main()
