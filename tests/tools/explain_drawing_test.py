"""What `apb-explain` draws in text: parsed and compared cell by cell. Usage: explain_drawing_test.py PATH_OF_APB_EXPLAIN"""

import re
import unittest

from explain_setting import SETTINGS, Setting, main, random_score, run, sees


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


class Explain(unittest.TestCase):
    def explain(self, setting, *more):
        result = run(*setting.arguments(), *more)
        idle = [] if setting.for_method(setting.method).keeps() else ["pool", "seed"]
        if not idle and setting.compressor == "recent":
            idle = ["seed"]
        notes = [f"apb-explain: note: --{name} changes nothing" for name in idle]
        self.assertEqual((result.returncode, [line[: line.rindex(":")] for line in result.stderr.splitlines()]), (0, notes))
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
        names = ["full", "ring", "zigzag_ring", "all_gather", "ulysses", "star", "ape", "apb", "spava"]
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


if __name__ == "__main__":
    main(__doc__)
