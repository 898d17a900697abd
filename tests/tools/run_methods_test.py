#!/usr/bin/env python3
"""apb-run on the toy model: the same answer over threads and MPI ranks, counters in closed form.

  run_methods_test.py BIN_DIR
"""
from __future__ import annotations

import itertools
import os

from toy_runs import COMPRESSORS, TEXT_LENS, Layout, Tester, test_with, without_seconds

METHODS = ("full", "star", "apb")


class Methods(Tester):
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
        """Results do not depend on the number of threads."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return
        command = self.command("--ranks", 2, "--nll", "--max-answer", 3, "--json")
        many = self.report("all cores", command)
        one = self.report("one core", command, preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
        if many is not None and one is not None:
            self.checks.that(
                without_seconds(many) == without_seconds(one), "one core and all cores must give the same JSON")

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


if __name__ == "__main__":
    test_with(Methods, Methods.compressors_that_are_not_used, Methods.identities, Methods.one_core,
              Methods.uneven_blocks, Methods.official_convention, Methods.double_precision, Methods.long_text_over_mpi,
              Methods.every_method)
