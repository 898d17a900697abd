"""Checks `apb-explain` from outside. Usage: explain_test.py PATH_OF_APB_EXPLAIN

Who owns, keeps, passes and sees what is written down here once more, from docs/contracts.md and
without the program's code; every drawing is parsed and compared with it cell by cell.
"""

import os
import pty
import re
import resource
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = ""
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "mask.svg"
PICTURE_ARGUMENTS = ["--tokens", "28", "--anchor", "3"]
COLOURS = {"anchor": "#e69f00", "passing": "#009e73", "block": "#0072b2"}
UNSEEN = "#eef0f2"


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


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
        return self.ranks > 1 and self.compressor != "none"

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


def short(number):
    if number < 10**6:
        return f"{number:,}"
    scaled, prefixes = number / 1e6, "MGTPE"
    while scaled >= 999.95 and len(prefixes) > 1:
        scaled, prefixes = scaled / 1e3, prefixes[1:]
    return f"{scaled:.{1 if scaled >= 99.995 else 2 if scaled >= 9.9995 else 3}f} {prefixes[0]}"


def sections(text):
    """Lines of the numbered sections, headings first."""
    parts = re.split(r"^(?=\d  [A-Z])", text, flags=re.MULTILINE)
    return {int(part[0]): part.rstrip("\n").split("\n") for part in parts[1:]}


def columns(line, titles):
    """Cuts a line where another one has bars."""
    bars = [i for i, letter in enumerate(titles) if letter == "│"] + [len(line) + 1]
    return [line[begin + 2 : end] for begin, end in zip(bars, bars[1:])]


def runs(labels):
    """[(mark, range as it is written, place of its first label)] of consecutive labels of one mark."""
    result = []
    for place, label in enumerate(labels):
        mark, number = label[0], int(label[1:])
        if result and result[-1][0] == mark and result[-1][2] == number - 1:
            result[-1][2] = number
        else:
            result.append([mark, number, number, place])
    return [
        (mark, f"{begin:,}" if begin == last else f"{begin:,}…{last:,}", f"{place:,}")
        for mark, begin, last, place in result
    ]


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

BAD = [
    (["--tokens", "-1"], "--tokens"),
    (["--tokens", "2097153"], "--tokens"),
    (["--tokens", "many"], "many"),
    (["--tokens", "1.5"], "1.5"),
    (["--tokens", "99999999999999999999"], "--tokens"),
    (["--ranks", "0"], "num_ranks"),
    (["--ranks", "4097"], "num_ranks"),
    (["--ranks", "-3"], "num_ranks"),
    (["--anchor", "5"], "anchor_len"),
    (["--anchor", "-1"], "anchor_len"),
    (["--query", "-1"], "query_len"),
    (["--query", "3", "--convention", "official"], "embedded_query_len"),
    (["--convention", "mine"], "paper, official"),
    (["--query-insert-at", "1"], "query_insert_at"),
    (["--convention", "official", "--query-insert-at", "9"], "query_insert_at"),
    (["--keep", "-1"], "num_kept"),
    (["--keep", "1", "--compressor", "none"], "num_kept"),
    (["--compressor", "magic"], "query_aware"),
    (["--compressor", "query_aware", "--query", "0"], "compressor"),
    (["--pool", "2"], "pool_kernel"),
    (["--pool", "0"], "--pool"),
    (["--pool", "1001"], "--pool"),
    (["--seed", "-1"], "--seed"),
    (["--seed", "99999999999999999999"], "--seed"),
    (["--q-heads", "0"], "num_q_heads"),
    (["--q-heads", "3", "--kv-heads", "2"], "num_q_heads"),
    (["--head-dim", "0"], "head_dim"),
    (["--method", "ring"], "full, star or apb"),
    (["--method", "rings"], "full, ring, zigzag_ring"),
    (["--rank", "4"], "--rank"),
    (["--rank", "-1"], "--rank"),
    (["--block-lens", "1,2,x"], "x"),
    (["--block-lens", "4,-1"], "--block-lens"),
    (["--block-lens", "9223372036854775807,9223372036854775807"], "--block-lens"),
    (["--block-lens", "2097152,1"], "--block-lens"),
    (["--keep", "99999999999999999999"], "num_kept|--keep"),  # newer CLI11 refuses it first
    (["--block-lens", "4,4", "--ranks", "3"], "block_lens"),
    (["--block-lens", "4,4", "--tokens", "9"], "block_lens"),
    (["--element-bytes", "0"], "--element-bytes"),
    (["--tokens", "2097152", "--ranks", "1", "--q-heads", "1024", "--head-dim", "4096"], "doc_len"),
    (["--unknown"], "--unknown"),
    (["stray"], "stray"),
    (["--svg"], "--svg"),
]


class Explain(unittest.TestCase):
    def explain(self, setting, *more):
        result = run(*setting.arguments(), *more)
        self.assertEqual((result.returncode, result.stderr), (0, ""), setting)
        for line in result.stdout.split("\n"):
            self.assertLessEqual(len(line), 100, line)
            self.assertEqual(line, line.rstrip(), setting)
        return sections(result.stdout)

    def for_each_setting(self, check):
        for setting in SETTINGS:
            with self.subTest(setting=setting):
                check(setting.for_method(setting.method), self.explain(setting))

    def test_no_arguments_draw_the_first_setting(self):
        self.assertEqual(run().stdout, run(*SETTINGS[0].arguments()).stdout)
        self.assertLessEqual(run().stdout.count("\n"), 60)

    def test_paper_proportions_are_the_default_of_long_documents(self):
        given = run("--tokens", 131072, "--ranks", 8, "--anchor", 4096, "--keep", 2048)
        self.assertEqual(run("--tokens", 131072, "--ranks", 8).stdout, given.stdout)

    def tokens_per_cell(self, drawn):
        """None if cells carry names."""
        match = re.search(r"One character is (?:up to )?([\d,]+) token", " ".join(drawn[1]))
        return int(match[1].replace(",", "")) if match else None

    def cells_by_rank(self, setting, drawn, section, name):
        """[(rank, what a line says about its tokens)]; left-out ranks are skipped."""
        titles = next(line for line in drawn[1] if "│ rank 0" in line)
        line = next(line for line in drawn[section] if line.startswith(name) and "│" in line)
        for title, cells in zip(columns(titles, titles), columns(line.ljust(101), titles)):
            if title.strip() != "…":
                yield int(title.split()[1]), cells

    def test_owners(self):
        self.for_each_setting(self.check_owners)

    def check_owners(self, setting, drawn):
        per_cell = self.tokens_per_cell(drawn)
        for rank, cells in self.cells_by_rank(setting, drawn, 1, "token"):
            begin, end = setting.blocks()[rank]
            if per_cell is None:
                self.assertEqual(cells.split(), [str(token) for token in range(begin, end)])
            else:
                self.assertEqual(cells.count("▒"), -(-(end - begin) // per_cell))
        in_anchor = sum(label[0] == "a" for label in setting.anchor_labels(setting.ranks - 1))
        self.assertEqual("anchor " in [line[:7] for line in drawn[1] if "│" in line], in_anchor > 0)
        if in_anchor > 0:
            marks = "".join(cells for _, cells in self.cells_by_rank(setting, drawn, 1, "anchor"))
            token = "".join(cells for _, cells in self.cells_by_rank(setting, drawn, 1, "token"))
            marked = re.split("  +", token[: len(marks.rstrip())].strip()) if per_cell is None else marks.strip()
            self.assertEqual(len(marked), in_anchor if per_cell is None else -(-in_anchor // per_cell))
            self.assertEqual(set(marks.strip()), {"▔"})

    def test_rows_and_positions(self):
        self.for_each_setting(self.check_rows)

    def check_rows(self, setting, drawn):
        lines = drawn[2]
        for i, line in enumerate(lines):
            if not (match := re.match(r"rank (\d+) ", line)):
                continue
            begin, end = setting.blocks()[int(match[1])]
            anchor = setting.anchor_labels(int(match[1]))
            names = line[match.end() :].replace("│", " ").split()
            if "from position" in " ".join(lines):  # one line a rank: number of rows, runs
                self.assertEqual(names[0], f"{len(anchor) + end - begin:,}")
                block = "none" if begin == end else f"{begin:,}…{end - 1:,}"
                self.assertEqual(names[-1], block if end - begin != 1 else f"{begin:,}")
                expected = ", ".join(f"{mark}{length} from {first}" for mark, length, first in runs(anchor))
                self.assertIn(f"│ {expected or '–'} ", line)
                continue
            if not anchor and begin == end:
                self.assertEqual(names, ["nothing"])
                continue
            positions = lines[i + 1].replace("│", " ").split()
            self.assertEqual(names, anchor + [str(token) for token in range(begin, end)])
            expected = [*range(len(anchor)), *range(begin, end)]
            self.assertEqual(positions, ["position"] + [str(position) for position in expected])

    def test_kept_tokens(self):
        self.for_each_setting(self.check_kept)

    def check_kept(self, setting, drawn):
        if not setting.passes():
            self.assertRegex(drawn[3][1], "^Nothing")
            return
        per_cell = self.tokens_per_cell(drawn)
        for rank, cells in self.cells_by_rank(setting, drawn, 3, "kept"):
            if per_cell is None:
                self.assertEqual(cells.split(), [f"p{token}" for token in setting.kept(rank)])
                continue
            begin, end = setting.blocks()[rank]
            kept, glyphs = setting.kept(rank), ""
            for first in range(begin, end, per_cell):
                last = min(first + per_cell, end)
                share = sum(first <= token < last for token in kept) / (last - first)
                glyphs += "·" if share == 0 else "░▒▓█"[min(int(4 * share), 3)]
            self.assertEqual(cells.strip(), glyphs)
        for line in drawn[3]:
            if match := re.match(r"rank (\d+) +uses ([\d,]+) of", line):
                passing = setting.segments(int(match[1]))["passing"]
                self.assertEqual(match[2], f"{len(passing):,}")
                listed = line.partition(":")[2].split()
                if "…" in listed:
                    self.assertEqual(listed[-1], passing[-1])
                    self.assertEqual(listed[:-2], passing[: len(listed) - 2])
                    self.assertGreater(len(listed), 3)
                else:
                    self.assertEqual(listed, passing)

    def test_scores_of_the_default(self):
        setting = Setting()
        lines = self.explain(setting)[3]
        scores = [random_score(0, token) for token in range(16)]
        shown = next(line for line in lines if line.startswith("score")).replace("│", " ").split()
        self.assertEqual(shown[1:], [f".{int(100 * score):02}" for score in scores])
        pooled = next(line for line in lines if line.startswith("pooled")).replace("│", " ").split()
        block = lambda token: range(token // 4 * 4, token // 4 * 4 + 4)
        best = [max(scores[near] for near in block(i) if abs(near - i) <= 1) for i in range(16)]
        self.assertEqual(pooled[1:], ["–", "–"] + [f".{int(100 * score):02}" for score in best[2:]])

    def test_mask_cell_by_cell(self):
        self.for_each_setting(self.check_mask)

    def check_mask(self, setting, drawn):
        rank, lines = setting.drawn_rank(), drawn[4]
        self.assertRegex(lines[0], f"RANK {rank} SEES: ")
        keys = {name: labels for name, labels in setting.segments(rank).items() if labels}
        rows = {name: labels for name, labels in keys.items() if name != "passing"}
        if not rows:
            self.assertIn("Nothing", lines[1])
            return
        pairs = setting.work()[rank][1] // (4 * setting.head_dim * setting.q_heads)
        pairs_in_all = sum(map(len, rows.values())) * sum(map(len, keys.values()))
        self.assertIn(f": {short(pairs)} of {short(pairs_in_all)} pairs", lines[0])

        first = next(i for i, line in enumerate(lines) if re.match(r" +│ (anchor|passing|block) ", line))
        titles = lines[first]
        names = [f"{name} {len(keys[name]):,}" for name in keys]
        self.assertEqual([title.strip() for title in columns(titles, titles)], names)
        scaled = re.search(r"A cell is (?:up to )?([\d,]+) row", " ".join(lines[1:first]))
        per_cell = int(scaled[1].replace(",", "")) if scaled else 1
        body = lines[first + 1 :]
        if not scaled:
            labels = columns(body.pop(0), titles)
            self.assertEqual([cell.split() for cell in labels], list(keys.values()))
        expected_rows = [(name, i) for name in rows for i in range(0, len(rows[name]), per_cell)]
        self.assertEqual(len(body), len(expected_rows))
        for line, (name, row) in zip(body, expected_rows):
            head = line[: titles.index("│")].split()
            self.assertEqual(head, ([name] if row == 0 else []) + [rows[name][row]])
            cells = "".join(columns(line.ljust(101), titles))
            marks = re.findall("██|▒▒|■|·", cells)
            self.assertEqual(marks, list(self.expected_marks(rows, keys, name, row, per_cell, bool(scaled))), line)
            self.assertEqual(re.sub("[█▒■·]", "", cells).strip(), "", line)

    def expected_marks(self, rows, keys, row_segment, row, per_cell, scaled):
        """Marks of one line. A row sees a prefix of a segment, so the corners of a cell decide."""
        last_row = min(row + per_cell, len(rows[row_segment])) - 1
        for key_segment in keys:
            for key in range(0, len(keys[key_segment]), per_cell):
                last_key = min(key + per_cell, len(keys[key_segment])) - 1
                if sees(row_segment, row, key_segment, last_key):
                    yield "██" if scaled else "■"
                elif sees(row_segment, last_row, key_segment, key):
                    yield "▒▒"
                else:
                    yield "·"

    def test_default_mask_by_hand(self):
        lines = self.explain(Setting())[4][-8:]
        self.assertEqual(
            ["".join(re.findall("[■·│]", line)) for line in lines],
            [
                "│■···│······│····",
                "│■■··│······│····",
                "│■■■·│······│····",
                "│■■■■│······│····",
                "│■■■■│■■■■■■│■···",
                "│■■■■│■■■■■■│■■··",
                "│■■■■│■■■■■■│■■■·",
                "│■■■■│■■■■■■│■■■■",
            ],
        )

    def test_costs(self):
        for setting in SETTINGS:
            with self.subTest(setting=setting):
                self.check_costs(setting, self.explain(setting)[5])

    def check_costs(self, setting, lines):
        methods = ["full", "star"] + (["apb"] if setting.method == "apb" else [])
        work = {method: setting.for_method(method).work() for method in methods}
        titles = next(line for line in lines if "Full" in line and "│" in line)
        self.assertEqual([cell.strip().lower() for cell in columns(titles, titles)], methods)
        ranks = [line for line in lines if line.startswith("rank ")]
        self.assertGreaterEqual(len(ranks), min(setting.ranks, 6))
        for line in ranks:
            for method, cell in zip(methods, columns(line.ljust(101), titles)):
                expected = " ".join(map(short, work[method][int(line.split()[1])]))
                self.assertEqual(" ".join(cell.split()), expected, (method, line))
        busiest = {method: max(flop for _, flop, _ in work[method]) for method in methods}
        for method, cell in zip(methods, columns(lines[lines.index(ranks[-1]) + 1].ljust(101), titles)):
            expected = short(busiest[method])
            if busiest["full"] > 0:
                ratio = busiest[method] / busiest["full"]
                share = f"{100 * ratio:.{3 if ratio < 0.01 else 1}f} % of"
                expected += f" = {share if ratio < 10 else short(round(ratio)) + ' ×'} Full"
            self.assertEqual(" ".join(cell.split()), expected)

    def test_methods(self):
        names = ["full", "ring", "zigzag_ring", "ulysses", "star", "ape", "apb", "spava"]
        for setting in SETTINGS:
            with self.subTest(setting=setting):
                lines = {line.split()[0]: line for line in self.explain(setting, "--compare")[6] if line.split()[:1] != []}
                self.assertEqual([name for name in lines if name in names], names)
                for method in ["full", "star"] + (["apb"] if setting.method == "apb" else []):
                    work = setting.for_method(method).work()
                    rows, flop, received = (short(max(column)) for column in zip(*work))
                    pattern = rf" {re.escape(rows)} +{re.escape(flop)} .* {re.escape(received)}  "
                    self.assertRegex(lines[method], pattern)

    def test_left_out_ranks_are_said(self):
        text = run("--tokens", 4000, "--ranks", 100, "--rank", 50).stdout
        self.assertIn("too many ranks", text)
        self.assertIn("\n…\n", text)
        self.assertIn("rank 50 ", text)
        self.assertNotIn("rank 49 ", text)
        self.assertNotIn("too many ranks", run().stdout)

    def test_long_documents_need_little_memory(self):
        run("--tokens", 131072, "--ranks", 8)
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(peak_kib, 300 * 1024)

    def test_bad_input(self):
        for arguments, named in BAD:
            with self.subTest(arguments=arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertTrue(result.stderr.startswith("apb-explain: "), result.stderr)
                self.assertRegex(result.stderr, named)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([PROGRAM], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(result.stderr.count("\n"), 1)

    def test_help(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for name in vars(Setting()):
            self.assertIn("--" + name.replace("_", "-"), result.stdout)

    def on_terminal(self, environment):
        """What the program prints to a terminal."""
        ours, theirs = pty.openpty()
        with subprocess.Popen([PROGRAM], stdout=theirs, env=environment) as process:
            os.close(theirs)
            text = b""
            try:
                while piece := os.read(ours, 65536):
                    text += piece
            except OSError:  # Linux says so when the program has ended
                pass
        os.close(ours)
        self.assertEqual(process.returncode, 0)
        return text.decode().replace("\r\n", "\n")

    def test_colours(self):
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        plain = run(env=environment).stdout
        self.assertNotIn("\033", plain)
        coloured = self.on_terminal(environment)
        self.assertIn("\033[", coloured)
        bare = re.sub(r"\033\[\d+m", "", coloured)
        self.assertEqual([line.rstrip() for line in bare.split("\n")], plain.split("\n"))
        self.assertEqual(self.on_terminal(environment | {"NO_COLOR": "1"}), plain)


class Picture(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def draw(self, *arguments):
        path = self.folder / "mask.svg"
        result = run(*arguments, "--svg", path)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout, run(*arguments).stdout)
        self.assertEqual(os.listdir(self.folder), ["mask.svg"])
        return path.read_text(encoding="utf-8")

    def test_the_picture_in_docs_is_todays(self):
        self.assertEqual(PICTURE.read_text(encoding="utf-8"), self.draw(*PICTURE_ARGUMENTS))

    def cells(self, text):
        """Colours of the mask's squares, row by row."""
        rows = {}
        for rect in xml.fromstring(text).iter("{http://www.w3.org/2000/svg}rect"):
            if rect.get("width") == rect.get("height") == "26.0":
                rows.setdefault(float(rect.get("y")), {})[float(rect.get("x"))] = rect.get("fill")
        return [[row[x] for x in sorted(row)] for _, row in sorted(rows.items())]

    def test_cells(self):
        for setting in SETTINGS:
            run_as = setting.for_method(setting.method)
            keys = run_as.segments(run_as.drawn_rank()) if setting.tokens < 50 else None
            if keys is None or sum(map(len, keys.values())) > 64:
                continue
            with self.subTest(setting=setting):
                text = self.draw(*setting.arguments())
                expected = [
                    [
                        COLOURS[key_segment] if sees(row_segment, row, key_segment, key) else UNSEEN
                        for key_segment in keys
                        for key in range(len(keys[key_segment]))
                    ]
                    for row_segment in ("anchor", "block")
                    for row in range(len(keys[row_segment]))
                ]
                self.assertEqual(self.cells(text), expected)
                for label in sum(keys.values(), []):
                    self.assertIn(f">{label}<", text)

    def test_shapes_of_long_documents(self):
        text = self.draw("--tokens", 131072, "--ranks", 8)
        root = xml.fromstring(text)
        polygons = list(root.iter("{http://www.w3.org/2000/svg}polygon"))
        self.assertEqual([polygon.get("fill") for polygon in polygons], [COLOURS["anchor"], COLOURS["block"]])
        self.assertLess(len(text), 10_000)
        self.assertIn(">14,336<", text)

    def test_many_ranks(self):
        text = self.draw("--tokens", 4096, "--ranks", 4096, "--keep", 1, "--anchor", 0)
        for rect in xml.fromstring(text).iter("{http://www.w3.org/2000/svg}rect"):
            self.assertGreaterEqual(float(rect.get("width")), 0)

    def test_an_older_picture_is_replaced(self):
        (self.folder / "mask.svg").write_text("old", encoding="utf-8")
        self.assertIn("<svg", self.draw())

    def test_places_that_cannot_be_written(self):
        (self.folder / "file").write_text("", encoding="utf-8")
        before = sorted(os.listdir(self.folder))
        for place in ("missing/mask.svg", "", "file/mask.svg"):
            with self.subTest(place=place):
                result = run("--svg", self.folder / place)
                self.assertEqual((result.returncode, result.stdout), (2, ""))
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertIn(str(self.folder / place), result.stderr)
                self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_bad_input_leaves_no_picture(self):
        self.assertEqual(run("--anchor", 99, "--svg", self.folder / "mask.svg").returncode, 2)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
