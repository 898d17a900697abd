#!/usr/bin/env python3
"""apb-demo: the order of the methods by their own margins, rows and bytes in closed form, picture and table.

  demo_test.py BIN_DIR

Needs the real model ($APB_WEIGHTS, else where ./apb puts it) and $APB_PYTHON with what import.py needs; three runs of
it take some minutes. The toy model's demo is checked first, whatever is there.
"""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Optional

from tool_testing import SKIPPED, Checks, arguments, program, python_with, run

LABELS = ("Full (one rank)", "Star, anchor = block", "Star, APB's anchor", "APB, query-aware", "APB, random",
          "APB, most recent")
FULL, STAR_BLOCK, STAR, AWARE, RANDOM, RECENT = range(6)
METHODS = ("full", "star", "star", "apb", "apb", "apb")
KEYS = ("457901", "802364")  # the first is the demo's own
FLOAT_BYTES = 4
RUN_S = 900

# A gap that the demo's claim rests on must be at least this share of the gap between Star and Full in the same run.
SHARE = 0.05


def passes(index: int) -> bool:
    return index in (AWARE, RANDOM, RECENT)


def expected_counts(config: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Rows of the busiest rank, and bytes a layer that the rank that sends (receives) most sends (receives)."""
    blocks, ranks, anchor = config["block_lens"], config["num_ranks"], config["anchor_len"]
    entry_bytes = 2 * config["num_kv_heads"] * config["head_dim"] * FLOAT_BYTES  # a key and a value for every KV head
    query_bytes = config["embedded_query_len"] * config["num_q_heads"] * config["head_dim"] * FLOAT_BYTES
    kept = [min(config["num_kept"], block - (anchor if rank == 0 else 0)) for rank, block in enumerate(blocks)]

    def busiest(anchor_rows: int) -> int:
        return max(block + (anchor_rows if rank else 0) for rank, block in enumerate(blocks))

    counts = []
    for index in range(len(LABELS)):
        rows = {FULL: sum(blocks), STAR_BLOCK: busiest(blocks[0])}.get(index,
                                                                       busiest(config["embedded_query_len"] + anchor))
        sent = [own * entry_bytes * (ranks - 1) if passes(index) else 0 for own in kept]
        received = [(sum(kept) - own) * entry_bytes if passes(index) else 0 for own in kept]
        if index == AWARE:  # rank 0 holds no query, and gets rank 1's rows of it
            received[0] += query_bytes
            sent[1] += query_bytes
        counts.append((rows, max(sent), max(received)))
    return counts


def check_counts(checks: Checks, what: str, report: dict[str, Any]) -> None:
    results = report["results"]
    checks.equal([result["label"] for result in results], list(LABELS), f"{what}: the table's lines")
    checks.equal([result["method"] for result in results], list(METHODS), f"{what}: their methods")
    for result, wanted in zip(results, expected_counts(report["config"])):
        found = (result["busiest_rows"], result["sent_bytes_per_layer"], result["received_bytes_per_layer"])
        checks.equal(found, wanted, f"{what}, {result['label']}: rows, bytes sent, bytes received")


def shares(report: dict[str, Any]) -> list[float]:
    """The three gaps Full – query-aware – random – Star as shares of the gap between Full and Star."""
    nll = [result["restated_nll"] for result in report["results"]]
    order = [nll[index] for index in (FULL, AWARE, RANDOM, STAR)]
    return [(upper - lower) / (order[3] - order[0]) for lower, upper in zip(order, order[1:])]


def check_order(checks: Checks, reports: dict[str, dict[str, Any]]) -> None:
    """Full < query-aware < random < Star for every key, and the gaps of the claim larger than what the key changes.

    How far query-aware lies above Full is no claim: at best it reaches it. So of that gap only the sign is required,
    and that query-aware stands nearer to Full than to random.
    """
    for key, report in reports.items():
        nll = [report["results"][index]["restated_nll"] for index in (FULL, AWARE, RANDOM, STAR)]
        if not checks.that(nll[0] < nll[1] < nll[2] < nll[3],
                           f"key {key}: nll must rise: Full, query-aware, random, Star", nll):
            continue
        to_aware, to_random, to_star = shares(report)
        print(f"key {key}: nll {', '.join(f'{value:.3f}' for value in nll)}; gaps {to_aware:.1%}, {to_random:.1%}, "
              f"{to_star:.1%} of Star - Full")
        checks.that(to_aware < to_random, f"key {key}: query-aware must be nearer to Full than to random",
                    shares(report))
        checks.that(to_random > SHARE and to_star > SHARE,
                    f"key {key}: its gaps must be over {SHARE:.0%} of Star - Full", shares(report))
    first, second = (shares(report) for report in reports.values())
    for name, one, other in zip(("query-aware to random", "random to Star"), first[1:], second[1:]):
        checks.that(min(one, other) > abs(one - other), f"{name}: the gap must exceed what the key changes of it",
                    (one, other))
    checks.that(
        all(report["results"][FULL]["restated_nll"] < 0.5 * report["results"][STAR]["restated_nll"]
            for report in reports.values()), "Full must know the restated digits, which Star cannot")


def check_answers(checks: Checks, key: str, report: dict[str, Any]) -> None:
    for result in report["results"]:
        checks.that(result["answer_right"] is True and key in result["answer"],
                    f"key {key}, {result['label']}: the answer must be right", repr(result["answer"]))
        checks.that(result["first_token_kl"] >= -1e-6 and result["answer_kl"] >= -1e-6,
                    f"key {key}, {result['label']}: KL must not be negative")
    full = report["results"][FULL]
    checks.that(
        abs(full["first_token_kl"]) < 1e-9 and abs(full["answer_kl"]) < 1e-9,
        f"key {key}: Full is not away from itself")
    aware, star = report["results"][AWARE], report["results"][STAR]
    print(f"key {key}: KL of the first answer token: query-aware {aware['first_token_kl']:.4f}, "
          f"Star {star['first_token_kl']:.4f}")


# ---- the text --------------------------------------------------------------------------------------------------------

def blocks_drawn(text: str) -> list[list[str]]:
    """The cells of each rank's line, for each picture."""
    lines = re.findall(r"^  rank (\d+) │(.*)│ (\d+)…(\d+)$", text, re.MULTILINE)
    pictures: list[list[str]] = []
    for rank, cells, _, _ in lines:
        if rank == "0":
            pictures.append([])
        pictures[-1].append(cells)
    return pictures


def check_picture(checks: Checks, what: str, text: str) -> None:
    pictures = blocks_drawn(text)
    if not checks.equal([len(picture) for picture in pictures], [4, 4],
                        f"{what}: two pictures with a line for each of 4 ranks", text[:1500]):
        return
    document, kept = pictures
    checks.equal(["".join(sorted(set(cells) - {"·"})) for cells in document], ["A", "F", "", "R"],
                 f"{what}: anchor in rank 0's line, fact in rank 1's, restatement in rank 3's")
    checks.that(re.fullmatch("A+·+", document[0]) is not None and re.fullmatch("·+F+·+", document[1]) is not None and
                re.fullmatch("·+R+·+", document[3]) is not None, f"{what}: each in one piece", document)
    for letter, words in (("F", "rank 1's block"), ("R", "rank 3's block"), ("A", "anchor")):
        checks.that(
            re.search(rf"^  {letter}  .*{words}", text, re.MULTILINE) is not None, f"{what}: the legend of {letter}",
            text[:1500])
    ranges = [(int(begin), int(end)) for begin, end in re.findall(r"│ (\d+)…(\d+)$", text, re.MULTILINE)][:4]
    checks.that(ranges[0][0] == 0 and all(end + 1 == begin for (_, end), (begin, _) in zip(ranges, ranges[1:])),
                f"{what}: the ranks' tokens follow each other", ranges)
    total = re.search(r"The document: (\d+) tokens", text)
    checks.equal(total and int(total.group(1)), ranges[-1][1] + 1, f"{what}: the document's tokens")
    checks.equal([len(cells) for cells in kept], [len(cells) for cells in document],
                 f"{what}: both pictures have the same cells")
    checks.that(all(set(cells) <= set("·▁▂▃▄▅▆▇█") and set(cells) != {"·"} for cells in kept),
                f"{what}: what every rank kept", kept)
    anchor_cells = document[0].count("A") - 1  # the last one may be shared
    checks.equal(set(kept[0][:anchor_cells]), {"·"}, f"{what}: nothing is kept of the anchor")


def table_rows(checks: Checks, what: str, text: str) -> list[list[str]]:
    """Label, nll, answer, right, answer nll, KL, rows, KiB, seconds of each line of the table."""
    labels = "|".join(map(re.escape, LABELS))
    number = r"(-?[\d.]+|nan)"
    pattern = re.compile(rf"^({labels}) +{number} +(.*?) *(yes|no) +{number} +{number} +(\d+) +{number} +{number}$",
                         re.MULTILINE)
    rows = [list(row) for row in pattern.findall(text)]
    checks.equal([row[0] for row in rows], list(LABELS), f"{what}: the table's six lines", text[-3000:])
    return rows


def check_toy(checks: Checks, tool: Path) -> None:
    for transport in ("mpi", "local"):
        what = f"toy demo, {transport}"
        result = run([tool, "--toy", "--transport", transport], timeout=120)
        if not checks.right(result, what):
            continue
        text = result.out.decode()
        check_picture(checks, what, text)
        table_rows(checks, what, text)
        text = " ".join(text.split())
        checks.that(
            re.search(r"toy.*mean nothing", text) is not None, f"{what}: must say that its nll means nothing",
            text[-600:])
        for claim in ("decides", "Predicting the restated digits", "paper's ablation", "are right"):
            checks.that(claim not in text, f"{what}: must not claim '{claim}'", text[-600:])
        checks.that(all(f"[{step}/6]" in result.err for step in range(1, 7)), f"{what}: progress on stderr", result.err)
    reports = []
    for transport in ("mpi", "local"):
        result = run([tool, "--toy", "--json", "--transport", transport], timeout=120)
        if checks.right(result, f"toy demo, --json, {transport}"):
            report = result.json()
            check_counts(checks, f"toy demo, {transport}", report)
            for entry in report["results"]:
                entry.pop("prefill_s")
            reports.append(report)
    checks.that(len(reports) == 2 and reports[0] == reports[1], "toy demo: the same over local and mpi")
    result = run([tool, "--toy", "--json", "--ranks", 7, "--anchor", 40, "--keep", 9, "--key", "90210"], timeout=120)
    if checks.right(result, "toy demo on 7 ranks"):
        check_counts(checks, "toy demo on 7 ranks", result.json())


def check_real_text(checks: Checks, tool: Path, report: Optional[dict[str, Any]]) -> None:
    what = "demo"
    result = run([tool], timeout=RUN_S)
    if not checks.right(result, what):
        return
    text = result.out.decode()
    check_picture(checks, what, text)
    rows = table_rows(checks, what, text)
    checks.that("toy" not in text, f"{what}: is not the toy model's")
    text = " ".join(text.split())
    checks.that("Predicting the restated digits" in text and "what is passed, and how it is chosen, decides" in text,
                f"{what}: its conclusion", text[-1500:])
    if report is None or len(rows) != len(LABELS):
        return
    for row, found in zip(rows, report["results"]):  # the same key: the same numbers, as far as they are printed
        wanted = [
            found["label"], f"{found['restated_nll']:.2f}", "yes" if found["answer_right"] else "no",
            f"{found['answer_nll']:.3f}", f"{found['first_token_kl']:.3f}",
            str(found["busiest_rows"]), f"{found['sent_bytes_per_layer'] / 1024:.1f}"
        ]
        checks.equal(row[:2] + row[3:8], wanted, f"{what}: the table's line is that of --json")
        checks.that(row[2] and row[2] in found["answer"].replace("\n", ""), f"{what}: the shown answer",
                    (row[2], found["answer"]))


def weights_path() -> Path:
    if os.environ.get("APB_WEIGHTS"):
        return Path(os.environ["APB_WEIGHTS"])
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME", "") + "/.cache"
    return Path(cache) / "apb" / "models" / "smollm2-135m-instruct.h5"


def why_not_the_real_model() -> str:
    if not weights_path().exists():
        return f"{weights_path()} is missing (./apb demo makes it)"
    return "" if python_with("h5py", "numpy", "gguf",
                             "tokenizers") else "$APB_PYTHON with h5py, numpy, gguf and tokenizers is missing"


def check_words_without_tokens(checks: Checks, tool: Path) -> None:
    """Byte 4 has no token in this model's vocabulary, so a question of it alone asks nothing."""
    for option, words in (("--query", ["--query", "\x04"]), ("--expect", ["--query", "What?", "--expect", "\x04"])):
        result = run([tool, "--text", __file__, *words])
        checks.refused(result, f"apb-run {option} without a token", option, "token")


def main() -> None:
    bin_dir = arguments("BIN_DIR", 1)[0]
    tool = program(bin_dir, "apb-demo")
    checks = Checks()
    check_toy(checks, tool)
    reason = why_not_the_real_model()
    if reason:
        if checks.failed:
            checks.finish()
        print(f"the toy model's demo: {checks.passed} checks passed")
        print(f"SKIPPED: {reason}")
        raise SystemExit(SKIPPED)
    check_words_without_tokens(checks, program(bin_dir, "apb-run"))
    reports: dict[str, dict[str, Any]] = {}
    for key in KEYS:
        result = run([tool, "--json", "--key", key], timeout=RUN_S)
        if checks.right(result, f"demo, key {key}"):
            reports[key] = result.json()
            checks.that("toy" not in reports[key]["model"], f"key {key}: the real model", reports[key]["model"])
            check_counts(checks, f"key {key}", reports[key])
            check_answers(checks, key, reports[key])
    if len(reports) == len(KEYS):
        check_order(checks, reports)
    check_real_text(checks, tool, reports.get(KEYS[0]))
    checks.finish()


if __name__ == "__main__":
    main()
