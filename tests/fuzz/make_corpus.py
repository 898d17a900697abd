#!/usr/bin/env python3
"""Writes the seed corpus of the fuzz target: scripts of edits as edit_script.hpp has them. What the fuzzer itself found
stays beside them, under names of its own.

  make_corpus.py FOLDER
"""
import struct
import sys
from pathlib import Path

SEED_FILES = ("scored_inputs", "query_pass", "one_rank_alone", "star", "empty_document", "whole_candidate", "some_rows")
KINDS = ("attribute_number", "attribute_text", "attribute_list", "attribute_type", "remove_attribute",
         "rename_attribute", "element", "dataset_type", "dataset_shape", "dataset_storage", "remove_link",
         "rename_link", "redirect_link", "replace_object")


def edit(kind: str, which: int, variant: int, place: int, value: int) -> bytes:
    return struct.pack("<BBBBq", KINDS.index(kind), which, variant, place, value)


def scripts() -> dict[str, bytes]:
    """By name: a file without edits, one edit of every kind for each of three forms, some edits together."""
    made = {name: bytes([number]) for number, name in enumerate(SEED_FILES)}
    for number in (0, 4, 5):
        for index, kind in enumerate(KINDS):
            made[f"{SEED_FILES[number]}-{kind}"] = bytes([number]) + edit(kind, 7 * index + number, index, index, index)
    for number, name in enumerate(SEED_FILES):
        made[f"{name}-together"] = bytes([number]) + b"".join(
            edit(kind, 5 * index, 2, index, 2**62) for index, kind in enumerate(KINDS[number::4]))
    return made


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in scripts().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
