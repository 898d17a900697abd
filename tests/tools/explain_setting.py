"""What `apb-explain` must draw: who owns, keeps, passes and sees what, written down here once more from
docs/contracts.md and without the program's code. Scripts that import this are called with the path of apb-explain.
"""

import subprocess
import sys
import unittest
from dataclasses import dataclass, field
from pathlib import Path


def program():
    """The script's first argument."""
    return str(Path(sys.argv[1]).resolve())


def run(*arguments, **options):
    return subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


@dataclass
class Setting:
    """One configuration: the command's options and their defaults."""

    tokens: int = 16
    ranks: int = 4
    block_lens: list = field(default_factory=list)
    anchor: int = 2
    query: int = 2
    convention: str = "paper"
    query_insert_at: int = 0
    keep: int = 2
    compressor: str = "random"
    pool: int = 3
    seed: int = 0
    q_heads: int = 1
    kv_heads: int = 1
    head_dim: int = 64
    method: str = "apb"
    rank: int | None = None
    element_bytes: int = 2

    def arguments(self):
        result = []
        for name, value in vars(self).items():
            if value is None or value == []:
                continue
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            result += ["--" + name.replace("_", "-"), text]
        return result

    def for_method(self, method):
        """As the method runs it: what it does not use is switched off."""
        changed = dict(vars(self), method=method)
        if method != "apb":
            changed |= {"compressor": "none", "keep": 0}
        if method == "full":
            lens = [self.tokens] + [0] * (self.ranks - 1)
            changed |= {"block_lens": lens, "anchor": 0, "query": 0, "query_insert_at": 0}
        return Setting(**changed)

    def blocks(self):
        """[begin, end) of every rank's tokens."""
        length = -(-self.tokens // self.ranks)
        lens, begin, result = self.block_lens, 0, []
        for rank in range(self.ranks):
            end = begin + lens[rank] if lens else min((rank + 1) * length, self.tokens)
            result.append((begin, end))
            begin = end
        return result

    def anchor_labels(self, rank):
        if rank == 0:
            return []
        query = [f"q{i}" for i in range(self.query)]
        if self.convention == "paper":
            return query + [f"a{i}" for i in range(self.anchor)]
        document = [f"a{i}" for i in range(self.anchor - self.query)]
        return document[: self.query_insert_at] + query + document[self.query_insert_at :]

    def passes(self):
        return self.ranks > 1 and self.compressor != "none" and self.keep > 0

    def keeps(self):
        return any(self.num_kept(rank) > 0 for rank in range(self.ranks))

    def candidates(self, rank):
        begin, end = self.blocks()[rank]
        return range(self.anchor if rank == 0 else begin, end)

    def num_kept(self, rank):
        return min(self.keep, len(self.candidates(rank))) if self.passes() else 0

    def kept(self, rank):
        """Pooled importance descending, then index ascending; the result ascending."""
        begin, end = self.blocks()[rank]
        score = float if self.compressor == "recent" else lambda token: random_score(self.seed, token)
        scores = [score(token) for token in range(begin, end)]
        reach = self.pool // 2

        def pooled(token):
            row = token - begin
            return max(scores[max(row - reach, 0) : row + reach + 1])

        best = sorted(self.candidates(rank), key=lambda token: (-pooled(token), token))
        return sorted(best[: self.num_kept(rank)])

    def drawn_rank(self):
        owners = [rank for rank, (begin, end) in enumerate(self.blocks()) if end > begin]
        return self.rank if self.rank is not None else (owners or [0])[-1]

    def segments(self, rank):
        """Labels of a rank's keys per segment."""
        begin, end = self.blocks()[rank]
        passing = [f"p{token}" for lower in range(rank) for token in self.kept(lower)] if self.passes() else []
        return {
            "anchor": self.anchor_labels(rank),
            "passing": passing,
            "block": [str(token) for token in range(begin, end)],
        }

    def work(self):
        """(rows, attention FLOPs, bytes received) of every rank, in closed form."""
        result, passing_rows = [], 0
        kept = [self.num_kept(rank) for rank in range(self.ranks)]
        for rank, (begin, end) in enumerate(self.blocks()):
            anchor_rows, block = len(self.anchor_labels(rank)), end - begin
            pairs = anchor_rows * (anchor_rows + 1) // 2 + block * (block + 1) // 2
            pairs += block * (anchor_rows + passing_rows)
            elements = 2 * (sum(kept) - kept[rank]) * self.kv_heads * self.head_dim
            if rank == 0 and self.passes() and self.compressor == "query_aware":
                elements += self.query * self.q_heads * self.head_dim  # rank 1's query rows
            result.append(
                (anchor_rows + block, 4 * self.head_dim * self.q_heads * pairs, elements * self.element_bytes)
            )
            passing_rows += kept[rank]
        return result


def mix(bits):
    """The finaliser of SplitMix64."""
    mask = 2**64 - 1
    bits = (bits + 0x9E3779B97F4A7C15) & mask
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
    return bits ^ (bits >> 31)


def random_score(seed, token):
    """A hash of seed, layer 0, KV head 0 and token in [0, 1)."""
    bits = mix(seed)
    for part in (0, 0, token):
        bits = mix(bits ^ part)
    return (bits >> 11) * 2.0**-53


def sees(row_segment, row, key_segment, key):
    """Anchor rows see the anchor up to themselves; block rows see all of anchor and passing block,
    and the block up to themselves."""
    if row_segment == "anchor":
        return key_segment == "anchor" and key <= row
    return key_segment in ("anchor", "passing") or key <= row


SETTINGS = [
    Setting(),
    Setting(seed=7, pool=1),
    Setting(pool=5, keep=1),
    Setting(tokens=19, keep=3, rank=1),
    Setting(rank=0),
    Setting(tokens=0, anchor=0),
    Setting(tokens=1, anchor=1),
    Setting(tokens=0, ranks=1, anchor=0, query=0),
    Setting(ranks=1),
    Setting(tokens=5, ranks=8, anchor=1, keep=1),
    Setting(tokens=15, block_lens=[4, 0, 7, 4]),
    Setting(tokens=11, block_lens=[4, 0, 7, 0], rank=3),
    Setting(tokens=16, block_lens=[16, 0, 0, 0]),
    Setting(convention="official", anchor=4, query_insert_at=1),
    Setting(convention="official", anchor=4, query_insert_at=2, compressor="recent"),
    Setting(convention="official", anchor=4, query=0),
    Setting(query=0),
    Setting(anchor=0, query=0),
    Setting(anchor=0),
    Setting(keep=0),
    Setting(tokens=5, ranks=2, anchor=3, query=1000, rank=1),
    Setting(tokens=1, ranks=9, anchor=1, query=100_000, rank=8),
    Setting(keep=100),
    Setting(compressor="none", keep=0),
    Setting(compressor="query_aware", q_heads=4, kv_heads=2),
    Setting(method="star"),
    Setting(method="full"),
    Setting(method="full", rank=2),
    Setting(method="star", convention="official", anchor=4, query_insert_at=1, tokens=23, rank=1),
    Setting(tokens=200, anchor=10, keep=6),
    Setting(tokens=1000, ranks=3, anchor=333, keep=50, rank=1),
    Setting(tokens=4000, ranks=100, anchor=10, keep=5),
    Setting(tokens=4000, ranks=100, anchor=10, keep=5, rank=50),
    Setting(tokens=9, ranks=9, anchor=1, keep=1),
    Setting(tokens=30000, ranks=6, anchor=1000, keep=300, block_lens=[9000, 7000, 5000, 4000, 3000, 2000]),
    Setting(tokens=131072, ranks=8, anchor=4096, keep=2048, q_heads=32, kv_heads=8, head_dim=128, pool=5),
]


def main(usage):
    """All tests of the script."""
    if len(sys.argv) < 2:
        sys.exit(usage)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
