"""apb-run on the toy model: who holds what and counters in closed form, and runs that must go right."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

from tool_testing import Checks, arguments, program, python_with, run, temporary_folder

# The toy model's shape (apb --toy), for the closed forms.
LAYERS, HIDDEN, FFN, Q_HEADS, KV_HEADS, HEAD_DIM, CONTEXT_LEN = 4, 96, 256, 6, 2, 16, 8192
COMPRESSORS = ("query_aware", "random", "recent", "none")
TEXT_LENS = (0, 1, 2, 37, 400)
QUERY = "Where is it?"
SECONDS = ("prefill_s", "total_s")
COUNTERS = ("rows_computed", "attention_flop", "projection_flop", "compressor_flop", "bytes_received", "bytes_sent",
            "nan_scores")


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
        self.exchanges = ranks > 1 and keep > 0  # where nothing is kept, nothing is scored
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
    """Runs apb-run on texts in a folder of its own."""

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


def test_with(make: Callable[[Path, Path], Tester], *tests: Callable[[Any], None]) -> None:
    """The main function of a script: these tests, in this order."""
    tool = program(arguments("BIN_DIR", 1)[0], "apb-run")
    with temporary_folder() as name:
        tester = make(tool, Path(name))
        for test in tests:
            test(tester)
    tester.checks.finish()
