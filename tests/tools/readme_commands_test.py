#!/usr/bin/env python3
"""Runs the commands of the README and of docs: each line of their ```sh blocks that starts with ./apb, in the
repository root. Follows the pages' links to files.

  readme_commands_test.py APB PAGE...      PAGE: a file, or a folder whose pages are meant
  readme_commands_test.py --self-test

Every command must end with status 0. If the next block after a ```sh block is a ```text block, the commands' output
must equal it line by line, where numbers (and the bars that draw numbers) count as equal, and so does any amount of
white space. A line "…" stands for any lines. Not run: blocks marked ```sh no-test, and ./apb test, because that runs
this test. If no package registry is in reach and the model is not there, what needs it is skipped. A link that is not
an address must lead to a file or folder, relative to its page.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

from tool_testing import SKIPPED, Checks, run, temporary_folder

COMMAND_S = 1500
NO_REGISTRY = "no package registry in reach"
ANY_LINES = "…"


class Example(NamedTuple):
    line: int            # of the block's first line in the page
    commands: list[str]
    output: list[str]    # what the page shows; empty: nothing is compared


def blocks(text: str) -> list[tuple[int, str, list[str]]]:
    """Fenced blocks: line number, info string, lines."""
    found: list[tuple[int, str, list[str]]] = []
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        opening = re.fullmatch(r"\s*(`{3,})\s*([^`]*)", line)
        if fence:
            if line.strip() == fence:
                fence = ""
            else:
                found[-1][2].append(line)
        elif opening:
            fence = opening.group(1)
            found.append((number + 1, opening.group(2).strip(), []))
    return found


def commands_of(lines: list[str]) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    commands = [line.strip() for line in joined]
    return [line for line in commands if re.match(r"\./apb(\s|$)", line) and not re.match(r"\./apb\s+test(\s|$)", line)]


def examples(text: str) -> list[Example]:
    all_blocks = blocks(text)
    result = []
    for index, (number, info, lines) in enumerate(all_blocks):
        if info == "sh" and (commands := commands_of(lines)):
            follower = all_blocks[index + 1] if index + 1 < len(all_blocks) else (0, "", [])
            result.append(Example(number, commands, follower[2] if follower[1] == "text" else []))
    return result


def normalised(lines: list[str]) -> list[str]:
    """Numbers become #, bars become ·, white space one blank; empty lines do not count."""
    result = []
    for line in lines:
        line = re.sub("[▁▂▃▄▅▆▇█]", "·", line)
        line = re.sub(r"(?<![A-Za-z_\d.])[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", line)
        line = " ".join(line.split())
        if line:
            result.append(line)
    return result


def first_difference(shown: list[str], printed: list[str]) -> str:
    """Empty if the output is as shown; else what differs first. Both are normalised."""
    # One piece of lines between every two "…" must occur in this order, the first at the start, the last at the end.
    pieces: list[list[str]] = [[]]
    for line in shown:
        if line == ANY_LINES:
            pieces.append([])
        else:
            pieces[-1].append(line)
    at = 0
    for index, piece in enumerate(pieces):
        starts = [at] if index == 0 else range(at, len(printed) - len(piece) + 1)
        if index == len(pieces) - 1:  # the last one ends where the output ends
            starts = [start for start in starts if start + len(piece) == len(printed)]
        found = next((start for start in starts if printed[start:start + len(piece)] == piece), None)
        if found is None:
            return explained(piece, printed[at:])
        at = found + len(piece)
    return ""


def explained(piece: list[str], printed: list[str]) -> str:
    for index in range(max(len(piece), len(printed))):
        shown_line = piece[index] if index < len(piece) else "(nothing more)"
        printed_line = printed[index] if index < len(printed) else "(nothing more)"
        if shown_line != printed_line:
            return f"shown:   {shown_line}\n    printed: {printed_line}"
    return "the lines shown are not where they should be"


def check_commands(checks: Checks, page: Path, root: Path) -> bool:
    """Runs all examples of a page. Returns whether something had to be skipped."""
    skipped = False
    for example in examples(page.read_text()):
        where, printed, lacking = f"{page.name}, line {example.line}", "", False
        for command in example.commands:
            result = run(["bash", "-c", command], timeout=COMMAND_S, cwd=root)
            print(f"{where}: {command}: status {result.status} after {result.seconds:.1f} s", flush=True)
            lacking |= NO_REGISTRY in result.err
            if not (NO_REGISTRY in result.err and result.status == 3):
                checks.that(result.status == 0 and not result.timed_out, f"{where}: must end with status 0", result)
            printed += result.out.decode(errors="replace")
        skipped |= lacking
        if example.output and not lacking:
            difference = first_difference(normalised(example.output), normalised(printed.splitlines()))
            checks.that(not difference, f"{where}: its output is not what the page shows", difference)
    return skipped


def check_links(checks: Checks, page: Path) -> None:
    prose = page.read_text().splitlines()
    for number, _, lines in blocks(page.read_text()):
        prose[number - 1:number - 1 + len(lines)] = [""] * len(lines)
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose)):
        path = target.partition("#")[0]
        if path and "://" not in path:
            checks.that((page.parent / path).exists(), f"{page.name}: its link {target} must lead to a file")


def check(checks: Checks, pages: list[Path], root: Path) -> bool:
    """Runs all commands of all pages. Returns whether something had to be skipped."""
    checks.that(any(examples(page.read_text()) for page in pages), "the pages must have commands to run")
    skipped = False
    for page in pages:
        check_links(checks, page)
        skipped |= check_commands(checks, page, root)
    return skipped


# ---- self-test -------------------------------------------------------------------------------------------------------

FAKE_APB = """#!/bin/sh
case "$1" in
  good) echo "rank 0 │▁█··│ 12 of 3.5e-3"; echo; echo "done   in 17 s"; echo "layer 3/4" >&2 ;;
  bad) exit 2 ;;
  words) shift; for word in "$@"; do echo "<$word>"; done ;;
  offline) echo "apb: no package registry in reach, so no real model" >&2; echo toy ;;
  test) echo "must not be run" >&2; exit 1 ;;
esac
"""

GOOD_OUTPUT = "rank 0 │▂▂··│ 99 of 1\ndone in -4.25 s"


def readme(commands: str, output: str = "", info: str = "sh") -> str:
    shown = f"```text\n{output}\n```\n" if output else ""
    return f"# Title\n\n```{info}\n{commands}\n```\n\nwhich prints\n\n{shown}"


def self_test() -> None:
    cases = [  # page, failures that it must give, whether something is skipped
        (readme("./apb good", GOOD_OUTPUT), 0, False),
        (readme("./apb good"), 0, False),
        (readme("cd /\n  ./apb good\n./apb test --all\necho done", GOOD_OUTPUT), 0, False),
        (readme("./apb words 'a b' \\\n    c", "<a b>\n<c>"), 0, False),
        (readme("./apb words a | tr a b  # a comment", "<b>"), 0, False),
        (readme("./apb words x1 2", "<x1>\n<7>"), 0, False),
        (readme("./apb words x12", "<x13>"), 1, False),  # a digit inside a name is no number
        (readme("./apb words a b c d", "<a>\n…\n<d>"), 0, False),
        (readme("./apb words a b c d", "…\n<b>\n<c>\n…"), 0, False),
        (readme("./apb words a b c d", "…\n<b>\n<d>\n…"), 1, False),
        (readme("./apb words a b c d", "<a>\n…\n<c>"), 1, False),
        (readme("./apb words a b c d", "<b>\n…"), 1, False),
        (readme("./apb bad"), 1, False),
        (readme("./apb good\n./apb bad"), 1, False),
        (readme("./apb bad | cat", ""), 0, False),  # the shell's rule: the last of a pipe counts
        (readme("./apb good", GOOD_OUTPUT.replace("done", "Done")), 1, False),
        (readme("./apb good",
                GOOD_OUTPUT.replace("12", "").replace("99 ", "")), 1, False),  # a number that is not there
        (readme("./apb good", GOOD_OUTPUT + "\none more line"), 1, False),
        (readme("./apb good",
                GOOD_OUTPUT.splitlines()[0]), 1, False),
        (readme("./apb good", GOOD_OUTPUT.replace("··│", "·│")), 1, False),
        (readme("./apb bad", info="sh no-test") + readme("./apb good"), 0, False),
        (readme("./apb bad", info="python") + readme("./apb good"), 0, False),
        (readme("./apbx bad\necho ./apb bad") + readme("./apb good"), 0, False),
        (readme("./apb offline", "the real model"), 0, True),
        ("no commands at all", 1, False),
        (readme("./apb test"), 1, False),  # nothing is left to run
        (readme("./apb good") + "[here](apb) [there](https://x.org/y) [below](#title) ![](apb#part)", 0, False),
        (readme("./apb good") + "[nowhere](docs/apb.md)", 1, False),
        (readme("./apb words '[no](link)'"), 0, False),
    ]
    own = Checks()
    with temporary_folder() as name:
        fake = Path(name) / "apb"
        fake.write_text(FAKE_APB)
        fake.chmod(0o755)
        page, another = Path(name) / "page.md", Path(name) / "another.md"
        for text, failures, skipped in cases:
            page.write_text(text)
            tried = Checks()
            skips = check(tried, [page], Path(name))
            own.equal((tried.failed, skips), (failures, skipped), f"self-test: failures and skips of {text!r}")
        page.write_text("no commands")
        another.write_text(readme("./apb bad") + readme("./apb good", GOOD_OUTPUT))
        tried = Checks()
        check(tried, [page, another], Path(name))
        own.equal((tried.failed, tried.passed), (1, 3), "self-test: one page without commands, another with two")
    print("self-test (the FAILED lines above that do not say self-test are wanted):")
    own.finish()


def main() -> None:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    if len(sys.argv) < 3:
        sys.exit("usage: readme_commands_test.py APB PAGE... | --self-test")
    apb, *places = (Path(argument).resolve() for argument in sys.argv[1:])
    pages = [page for place in places for page in (sorted(place.glob("*.md")) if place.is_dir() else [place])]
    checks = Checks()
    if not checks.that(apb.name == "apb" and pages and all(path.is_file() for path in (apb, *pages)),
                       f"{apb} and all of {pages} must be there"):
        checks.finish()
    skipped = check(checks, pages, apb.parent)
    if skipped and not checks.failed:
        print(f"{checks.passed} checks passed")
        print("SKIPPED: no package registry in reach and no model: not all commands could be tried")
        sys.exit(SKIPPED)
    checks.finish()


if __name__ == "__main__":
    main()
