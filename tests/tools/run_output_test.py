#!/usr/bin/env python3
"""apb-run on the toy model: what it prints, what it says about options, and a user's own mpiexec.

  run_output_test.py BIN_DIR
"""
from __future__ import annotations

import itertools
import json
import os
import pty
import re
import shutil
import subprocess

from tool_testing import environment, run
from toy_runs import CONTEXT_LEN, QUERY, Tester, test_with, text_of, without_seconds


class Output(Tester):
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

    def options_that_change_nothing(self) -> None:
        """--pool without a selection, --seed without a random number: a line each."""
        pool, seed = "--pool changes nothing: nothing is selected", "--seed changes nothing: no random number is drawn"
        for method, given, wanted in (("full", ["--pool", 3, "--seed", 1], [pool, seed]), ("apb", ["--pool", 3], []),
                                      ("apb", ["--seed", 1], [seed]), ("apb", ["--seed", 1, "--compressor", "random"], []),
                                      ("apb", ["--pool", 3, "--keep", 0], [pool]), ("spava", ["--pool", 3], [])):
            result = run(self.command("--method", method, *given, "--ranks", 2, "--json"))
            self.checks.right(result, f"{method} {given}")
            notes = [line for line in result.error_lines() if "note" in line]
            self.checks.equal(notes, [f"apb-run: note: {line}" for line in wanted], f"{method} {given}: notes")

    def nothing_kept(self) -> None:
        """--keep 0: nothing is scored, so that neither FLOPs nor bytes are spent on it."""
        for method in ("apb", "spava"):
            report = self.report(f"{method}, --keep 0", self.command("--method", method, "--keep", 0, "--ranks", 3, "--json"))
            if report is None:
                continue
            self.checks.equal(report["config"]["compressor"], "none", f"{method}: no compressor")
            scored = [rank["prefill"]["compressor_flop"] for rank in report["ranks"]]
            self.checks.equal(scored, [0, 0, 0], f"{method}: FLOPs of scores")

    def more_than_the_text_has(self) -> None:
        """A text without tokens, and more kept than a block has, are run, with a line that says so."""
        (self.folder / "empty").write_bytes(b"")
        for text, given, wanted in (
            ("empty", [], ["the text is empty: the question is all that is read"]),
            ("empty", ["--method", "full"], ["the text is empty: the question is all that is read"]),
            ("text", ["--keep", 21], ["--keep 21: no block has more than 20 tokens to keep"]),
            ("text", ["--keep", 20], []),
            ("text", ["--keep", 30, "--block-lens", "10,30"], []),
        ):
            (self.folder / "text").write_bytes(text_of(40))
            for transport in ("local", "mpi"):
                what = f"{text} text, {given}, {transport}"
                result = run([self.tool, "--toy", "--text", self.folder / text, "--query", QUERY, "--ranks", 2, *given,
                              "--json", "--transport", transport])
                notes = [line for line in result.error_lines() if "note" in line]
                self.checks.right(result, what)
                self.checks.equal(notes, [f"apb-run: note: {line}" for line in wanted], f"{what}: notes")

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


if __name__ == "__main__":
    test_with(Output, Output.output, Output.progress_on_terminal, Output.standard_input, Output.binary_text,
              Output.no_answer, Output.context, Output.options_of_other_methods, Output.more_than_the_text_has,
              Output.own_mpiexec)
