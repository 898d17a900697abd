"""The SVG picture that `apb-explain --svg` draws. Usage: explain_picture_test.py PATH_OF_APB_EXPLAIN"""

import os
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

from explain_setting import SETTINGS, main, run, sees

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "mask.svg"
PICTURE_ARGUMENTS = ["--tokens", "28", "--anchor", "3"]
COLOURS = {"anchor": "#e69f00", "passing": "#009e73", "block": "#0072b2"}
UNSEEN = "#eef0f2"


class Picture(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def draw(self, *arguments):
        path = self.folder / "mask.svg"
        result = run(*arguments, "--svg", path)
        text = run(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, text.stderr))  # notes, of which --svg adds none
        self.assertEqual(result.stdout, text.stdout)
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
    main(__doc__)
