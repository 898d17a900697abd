#!/usr/bin/env python3
"""Reads every #include of the tree and fails on an arrow that is forbidden (docs/conventions.md).

  include_arrows_test.py [ROOT]    ROOT: the repository, by default the one that holds this file

Tests itself first, on made-up files, so that a pass means something. Exit 0: no forbidden arrow; 1: some, one a line.
"""
import re
import sys
import tempfile
from pathlib import Path

CORE = "reference/core"
CLI = "reference/cli"
REFERENCE = {f"reference/{room}" for room in ("attention", "case_makers", "cli", "comm", "core", "launch", "methods",
                                              "model", "model_io", "tools", "training", "verify")}

# What each room may include besides itself; docs/conventions.md says it in words. The communicator that methods and
# models are written against is an interface in core: only those who start ranks choose what is behind it.
ALLOWED = {
    CORE: set(),
    CLI: {CORE},
    "reference/attention": {CORE},
    "reference/comm": {CORE},
    "reference/methods": {CORE, "reference/attention"},
    "reference/model": {CORE, "reference/attention", "reference/methods"},  # prefill runs any method
    "reference/training": {CORE, "reference/attention", "reference/model"},
    "reference/verify": {CORE, "reference/attention"},  # judges, never runs a method or a model
    "reference/model_io": {CORE, CLI, "reference/model"},
    "reference/launch": {CORE, CLI, "reference/comm"},
    "reference/case_makers": {CORE, "reference/attention", "reference/comm", "reference/methods", "reference/model"},
    "reference/tools": REFERENCE,
    "examples": {CORE, "reference/verify"},  # what a kernel engineer writes
    "cuda": {CORE},  # a shared mask, tie rule or merge would hide its own bug
    "cuda/tools": {CORE, CLI, "cuda", "examples", "reference/comm", "reference/launch", "reference/model_io", "reference/verify"},
    "sim": {CORE, CLI},
    "notebooks-export": {CORE, CLI, "sim"},
    "tests": REFERENCE | {"cuda", "cuda/tools", "sim", "notebooks-export"},
}
# System headers that only some places may include: (pattern, places, in words).
RESERVED = (
    (re.compile(r"mpi\.h$"), ("reference/comm/mpi_communicator.cpp",), "only mpi_communicator.cpp uses MPI"),
    (re.compile(r"(cuda|cublas|cub/|nccl|nv)"), ("cuda/", "tests/", "examples/plugin_cuda/"), "CUDA stays in cuda/"),
)
SUFFIXES = {".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    """The room that a path (relative to the root) belongs to, or None: the longest that it lies in."""
    rooms = [room for room in ALLOWED if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def faults_of(path, text):
    """What is wrong with the includes of one file."""
    room = room_of(path)
    if room is None:
        yield f"{path}: lies in no room (add it to ALLOWED)"
        return
    for bracket, target in INCLUDE.findall(text):
        for pattern, places, why in RESERVED:
            if pattern.match(target) and not path.startswith(places):
                yield f"{path}: includes {target}: {why}"
        if bracket == "<":
            if room_of(target):
                yield f'{path}: includes <{target}>: write "{target}"'
            continue
        to = room_of(target)
        if to is None:
            if not any(pattern.match(target) for pattern, _, _ in RESERVED):
                yield f"{path}: includes {target}: must be a path from the root of the repository"
        elif to != room and to not in ALLOWED[room]:
            yield f"{path}: includes {target}: {room} may not know {to}"


def check_tree(root):
    """All faults, and how many files and includes were read."""
    faults, num_files, num_includes = [], 0, 0
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        if path.suffix not in SUFFIXES or relative.startswith(("build/", ".")):
            continue
        text = path.read_text(encoding="utf-8")
        num_files += 1
        num_includes += len(INCLUDE.findall(text))
        faults += faults_of(relative, text)
    return faults, num_files, num_includes


MADE_UP = (  # file, what it includes, whether that is forbidden
    ("reference/core/a.hpp", '"reference/core/b.hpp"', False),
    ("reference/core/a.hpp", '"reference/attention/b.hpp"', True),
    ("reference/core/a.hpp", '"tests/support/catch.hpp"', True),
    ("reference/attention/a.cpp", '"reference/core/b.hpp"', False),
    ("reference/attention/a.cpp", '"reference/comm/b.hpp"', True),
    ("reference/attention/a.cpp", '"reference/methods/b.hpp"', True),
    ("reference/comm/a.cpp", '"reference/attention/b.hpp"', True),
    ("reference/comm/mpi_communicator.cpp", "<mpi.h>", False),
    ("reference/comm/local_communicator.cpp", "<mpi.h>", True),
    ("reference/comm/local_communicator.cpp", '"mpi.h"', True),
    ("tests/comm/a.cpp", "<mpi.h>", True),
    ("reference/methods/a.cpp", '"reference/attention/b.hpp"', False),
    ("reference/methods/a.cpp", '"reference/comm/b.hpp"', True),
    ("reference/methods/a.cpp", '"reference/model/b.hpp"', True),
    ("reference/model/a.cpp", '"reference/comm/b.hpp"', True),
    ("reference/model/a.cpp", '"reference/training/b.hpp"', True),
    ("reference/training/a.cpp", '"reference/model/b.hpp"', False),
    ("reference/training/a.cpp", '"reference/comm/b.hpp"', True),
    ("reference/model/a.cpp", '"reference/tools/b.hpp"', True),
    ("reference/verify/a.cpp", '"reference/attention/b.hpp"', False),
    ("reference/verify/a.cpp", '"reference/methods/b.hpp"', True),
    ("reference/methods/a.cpp", '"reference/verify/b.hpp"', True),
    ("reference/tools/a.cpp", '"reference/comm/b.hpp"', False),
    ("reference/tools/a.cpp", '"sim/b.hpp"', True),
    ("cuda/a.cu", '"reference/core/b.hpp"', False),
    ("cuda/a.cu", '"reference/attention/b.hpp"', True),
    ("cuda/a.cu", '  #  include   "reference/methods/b.hpp"', True),
    ("cuda/a.cu", '"sim/b.hpp"', True),
    ("cuda/a.cu", '"cuda/tools/b.hpp"', True),
    ("cuda/a.cu", '"reference/cli/b.hpp"', True),
    ("cuda/tools/a.cpp", '"cuda/b.hpp"', False),
    ("cuda/tools/a.cpp", '"reference/verify/b.hpp"', False),
    ("cuda/tools/a.cpp", '"reference/methods/b.hpp"', True),
    ("cuda/tools/a.cpp", "<cuda_runtime.h>", False),
    ("reference/cli/a.cpp", '"reference/core/b.hpp"', False),
    ("reference/cli/a.cpp", '"reference/comm/b.hpp"', True),
    ("reference/cli/a.cpp", '"reference/launch/b.hpp"', True),
    ("reference/core/a.cpp", '"reference/cli/b.hpp"', True),
    ("reference/core/plans/a.cpp", '"reference/core/b.hpp"', False),
    ("reference/core/plans/a.cpp", '"reference/methods/b.hpp"', True),
    ("reference/model_io/a.cpp", '"reference/model/b.hpp"', False),
    ("reference/model_io/a.cpp", '"reference/launch/b.hpp"', True),
    ("reference/launch/a.cpp", '"reference/comm/b.hpp"', False),
    ("reference/launch/a.cpp", '"reference/model/b.hpp"', True),
    ("reference/case_makers/a.cpp", '"reference/verify/b.hpp"', True),
    ("reference/tools/run/a.cpp", '"reference/launch/b.hpp"', False),
    ("sim/a.cpp", '"reference/cli/b.hpp"', False),
    ("cuda/a.cu", "<cuda_runtime.h>", False),
    ("sim/a.cpp", "<cuda_runtime.h>", True),
    ("reference/core/a.cpp", "<nccl.h>", True),
    ("sim/a.cpp", '"reference/core/b.hpp"', False),
    ("sim/a.cpp", '"reference/model/b.hpp"', True),
    ("sim/a.cpp", '"cuda/b.hpp"', True),
    ("notebooks-export/a.cpp", '"sim/b.hpp"', False),
    ("notebooks-export/a.cpp", '"reference/tools/b.hpp"', True),
    ("tests/a.cpp", '"cuda/b.hpp"', False),
    ("reference/core/a.cpp", '"b.hpp"', True),  # would hide an arrow
    ("reference/core/a.cpp", '"../attention/b.hpp"', True),
    ("reference/core/a.cpp", "<reference/attention/b.hpp>", True),
    ("reference/elsewhere/a.cpp", '"reference/core/b.hpp"', True),
    ("elsewhere/a.cpp", "<vector>", True),
    ("reference/core/a.cpp", "<vector>", False),
)


def test_itself():
    """Every made-up include, alone in a tree of its own, is judged as it should be."""
    for path, include, forbidden in MADE_UP:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path
            file.parent.mkdir(parents=True)
            line = include if "#" in include else f"#include {include}"
            file.write_text(f"// a comment\n{line}\n", encoding="utf-8")
            faults, num_files, num_includes = check_tree(Path(folder))
            if (num_files, num_includes) != (1, 1) or bool(faults) != forbidden:
                sys.exit(f"include_arrows_test.py is broken: {path} with {include}: forbidden {forbidden}, found {faults}")


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    test_itself()
    faults, num_files, num_includes = check_tree(root)
    print("\n".join(faults + [f"{num_includes} includes in {num_files} files, {len(faults)} forbidden"]))
    return 0 if num_includes > 0 and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
