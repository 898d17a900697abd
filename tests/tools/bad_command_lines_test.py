#!/usr/bin/env python3
"""Bad command lines and places of apb-run and apb-demo: status 2, one line, and nothing left behind.

  bad_command_lines_test.py BIN_DIR
"""
from __future__ import annotations

import os
import random
import re
from pathlib import Path

from refusals import Folder, cannot_finish, small_files_only
from tool_testing import Checks, arguments, program, run, temporary_folder

QUERY = "What?"

# Options after `apb-run --toy --text text --query What?`, and what the refusal must say. The text has 40 bytes.
RUN_LINES: list[tuple[list[str], list[str]]] = [
    (["--method", "magic"], ["method", "magic", "full, ring, zigzag_ring, all_gather, ulysses, star, ape, apb, spava"]),
    (["--method", ""], ["--method: is empty"]),
    (["--method", "Full"], ["method", "Full", "full, ring, zigzag_ring, all_gather, ulysses, star, ape, apb, spava"]),
    (["--ranks", "0"], ["ranks", "= 0", "between 1 and"]),
    (["--ranks", "-3"], ["ranks", "-3", "between 1 and"]),
    (["--ranks", "1000000"], ["ranks", "1000000", "between 1 and"]),
    (["--ranks", "four"], ["--ranks: four: must be a whole number \\(see"]),
    (["--ranks", "2.5"], ["--ranks: 2.5: must be a whole number \\(see"]),
    (["--ranks", "99999999999999999999"], ["--ranks", "99999999999999999999"]),
    (["--ranks"], ["--ranks"]),
    (["--transport", "tcp"], ["transport", "tcp", "local or mpi"]),
    (["--precision", "half"], ["precision", "half", "float or double"]),
    (["--compressor", "magic"], ["compressor", "magic", "query_aware", "random", "recent", "none"]),
    (["--compressor", "none", "--keep", "3"], ["num_kept|--keep", "= 3", "none"]),
    (["--no-embed-query"], ["query_aware", "embedded"]),
    (["--convention", "strange"], ["convention", "strange", "paper", "official"]),
    (["--query-insert-at", "3"], ["query_insert_at|--query-insert-at", "= 3", "official|paper"]),
    (["--convention", "official", "--anchor", "3"], ["embedded_query_len", "= 5", "3"]),
    (["--convention", "official", "--anchor", "9", "--query-insert-at",
      "5"], ["query_insert_at|--query-insert-at", "= 5", "0 and 4"]),
    (["--convention", "official", "--anchor", "9", "--query-insert-at",
      "-1"], ["query_insert_at|--query-insert-at", "-1"]),
    (["--anchor", "-1"], ["anchor", "-1", "between 0 and"]),
    (["--anchor", "11"], ["anchor", "= 11", "10 tokens"]),
    (["--anchor", "2000000000"], ["anchor", "2000000000", "between 0 and"]),
    (["--anchor", "long"], ["--anchor: long: must be a whole number \\(see"]),
    (["--ape-scale", "large"], ["--ape-scale: large: must be a number \\(see"]),
    (["--keep", "-1"], ["num_kept|--keep", "-1", "between 0 and"]),
    (["--keep", "4000000000"], ["num_kept|--keep", "4000000000", "between 0 and"]),
    (["--pool", "0"], ["pool", "= 0", "between 1 and"]),
    (["--pool", "4"], ["pool", "= 4", "odd"]),
    (["--pool", "-5"], ["pool", "-5", "between 1 and"]),
    (["--seed", "-1"], ["seed", "-1"]),
    (["--seed", "x"], ["seed", "x"]),
    (["--max-answer", "-1"], ["max-answer", "-1", "at least 0"]),
    (["--block-lens", "10,10"], ["block_lens|--block-lens", "2 lengths", "4"]),
    (["--block-lens", "10,10,10,11"], ["block_lens|--block-lens", "41", "40"]),
    (["--block-lens", "50,-10,0,0"], ["block_lens|--block-lens", "50|-10", "between 0 and 40"]),
    (["--block-lens", "10,10,ten,10"], ["--block-lens: .*ten.*: must be whole numbers \\(see"]),
    (["--block-lens", "9223372036854775807,1,1,1"], ["block_lens|--block-lens", "9223372036854775807"]),
    (["--ranks", "0", "--block-lens", "40"], ["ranks", "= 0"]),
    (["--trace", "missing/trace.h5"], ["missing/trace.h5", "folder"]),
    (["--trace", "folder"], ["folder"]),
    (["--trace", "text/trace.h5"], ["text/trace.h5"]),
    (["--unknown"], ["--unknown"]),
    (["stray"], ["stray"]),
    (["--text", "text"], ["--text"]),
]


def run_command_lines(folder: Folder, tool: Path) -> None:
    (folder.path / "text").write_bytes(b"0123456789" * 4)
    (folder.path / "empty").write_bytes(b"")
    (folder.path / "folder").mkdir()
    for words, wanted in RUN_LINES:
        folder.refused(" ".join(["apb-run", *words]), [tool, "--toy", "--text", "text", "--query", QUERY, *words],
                       *wanted)
    # The same over MPI is refused before any rank starts.
    for words, wanted in RUN_LINES[0:1] + RUN_LINES[3:6] + RUN_LINES[21:23] + RUN_LINES[38:41]:
        folder.refused(" ".join(["apb-run --transport mpi", *words]),
                       [tool, "--toy", "--text", "text", "--query", QUERY, "--transport", "mpi", *words], *wanted)
    for words, wanted in ((["--query", QUERY], ["--text"]), (["--text", "text"], ["--query"]), ([], ["--query|--text"]),
                          (["--text", "text", "--query", ""], ["--query"]),
                          (["--text", "nowhere", "--query", QUERY], ["nowhere"]),
                          (["--text", "folder", "--query", QUERY], ["folder"]),
                          (["--text", "text/below", "--query", QUERY], ["text/below"]),
                          (["--text", "empty", "--query", QUERY, "--anchor", "1"], ["anchor", "= 1"])):
        folder.refused(" ".join(["apb-run --toy", *words]), [tool, "--toy", *words], *wanted)
    if os.geteuid() != 0:
        (folder.path / "empty").chmod(0)
        folder.refused("apb-run on a text that may not be read", [tool, "--toy", "--text", "empty", "--query", QUERY],
                       "empty")
    folder.checks.right(run([tool, "--toy", "--text", "text", "--query", QUERY], cwd=folder.path),
                        "the same with nothing wrong")


def special_files(folder: Folder, tool: Path) -> None:
    """What is no file must not be replaced by one: as root, --trace /dev/null would put an end to /dev/null."""
    os.mkfifo(folder.path / "pipe")
    (folder.path / "text").write_bytes(b"some text")
    folder.refused("apb-run --trace on a pipe", [tool, "--toy", "--text", "text", "--query", QUERY, "--trace", "pipe"],
                   "pipe")
    folder.checks.that((folder.path / "pipe").is_fifo(), "apb-run --trace on a pipe: the pipe must stay")


def full_disk(folder: Folder, run_tool: Path, demo_tool: Path) -> None:
    (folder.path / "text").write_bytes(b"some text" * 40)
    command = [run_tool, "--toy", "--text", "text", "--query", QUERY]
    for limit in (0, 100, 2000, 20000):  # 0: it cannot even be begun, which may be bad input
        cannot_finish(folder, f"a trace where no file may exceed {limit} bytes", command + ["--trace", "trace.h5"],
                      "trace.h5", (3, ) if limit else (2, 3), preexec_fn=small_files_only(limit))
    if Path("/dev/full").is_char_device():
        for words in (command, command + ["--json"], command + ["--ranks", 2, "--transport", "mpi"],
                      [demo_tool, "--toy", "--transport", "local"]):
            cannot_finish(folder, f"{words[0].name} {words[-1]} with its output to a full disk",
                          ["bash", "-c", 'exec "$0" "$@" > /dev/full', *words],
                          "apb-(run|demo): standard output cannot be written")


def demo_command_lines(folder: Folder, tool: Path) -> None:
    for words, wanted in ((["--key", ""], ["--key: is empty"]), (["--key", "12a4"], ["key", "12a4",
                                                                                   "digits"]), (["--key",
                                                                                                 "-5"], ["key"]),
                          (["--key", "１２"], ["key", "digits"]), (["--ranks", "1"], ["ranks", "= 1",
                                                                                    "between 2 and 16"]),
                          (["--ranks", "0"], ["ranks", "= 0"]), (["--ranks",
                                                                  "17"], ["ranks", "= 17", "between 2 and 16"]),
                          (["--ranks", "-1"], ["ranks", "-1"]), (["--ranks", "many"], ["--ranks", "many"]),
                          (["--transport",
                            "tcp"], ["transport", "tcp",
                                     "local or mpi"]), (["--anchor",
                                                         "-1"], ["anchor",
                                                                 "-1"]), (["--anchor",
                                                                           "100000"], ["anchor", "100000", "tokens"]),
                          (["--keep", "-1"], ["num_kept|--keep",
                                              "-1"]), (["--unknown"], ["--unknown"]), (["stray"], ["stray"])):
        for transport in ((), ("--transport", "local")) if "--transport" not in words else ((),):
            folder.refused(" ".join(["apb-demo --toy", *words, *transport]), [tool, "--toy", *words, *transport],
                           *wanted)
    folder.refused("apb-demo, no weights", [tool, "--weights", "nowhere.h5"], "nowhere.h5")
    (folder.path / "no.h5").write_bytes(b"not HDF5 at all" * 100)
    folder.refused("apb-demo, no HDF5", [tool, "--weights", "no.h5"], "no.h5", "HDF5")
    folder.refused("apb-demo, weights from APB_WEIGHTS", [tool], "no.h5", env={"APB_WEIGHTS": "no.h5"})


def weights_without_python(folder: Folder, tool: Path) -> None:
    """Weights that are refused before any Python is needed."""
    (folder.path / "text").write_bytes(b"some text")
    (folder.path / "folder.h5").mkdir()
    (folder.path / "empty.h5").write_bytes(b"")
    (folder.path / "magic.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (folder.path / "noise.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + random.Random(3).randbytes(5000))
    for name in ("nowhere.h5", "folder.h5", "empty.h5", "magic.h5", "noise.h5", "text"):
        for transport in ("local", "mpi"):
            folder.refused(f"apb-run --weights {name}, {transport}",
                           [tool, "--weights", name, "--text", "text", "--query", QUERY, "--transport", transport],
                           re.escape(name))
    folder.refused("weights from APB_WEIGHTS", [tool, "--text", "text", "--query", QUERY],
                   "nowhere.h5",
                   env={"APB_WEIGHTS": "nowhere.h5"})
    folder.refused("weights from XDG_CACHE_HOME", [tool, "--text", "text", "--query", QUERY], "/nowhere/apb/models/",
                   env={"APB_WEIGHTS": None, "XDG_CACHE_HOME": "/nowhere"})
    folder.refused("weights from HOME", [tool, "--text", "text", "--query", QUERY], "/nowhere/.cache/apb/models/",
                   env={"APB_WEIGHTS": None, "XDG_CACHE_HOME": None, "HOME": "/nowhere"})


def main() -> None:
    folder = arguments("BIN_DIR", 1)[0]
    run_tool, demo_tool = program(folder, "apb-run"), program(folder, "apb-demo")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        run_command_lines(Folder(checks, root / "run"), run_tool)
        special_files(Folder(checks, root / "special"), run_tool)
        full_disk(Folder(checks, root / "full"), run_tool, demo_tool)
        demo_command_lines(Folder(checks, root / "demo"), demo_tool)
        weights_without_python(Folder(checks, root / "no_python"), run_tool)
    checks.finish()


if __name__ == "__main__":
    main()
