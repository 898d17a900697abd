#!/usr/bin/env python3
"""Files from outside: no output overwrites an input, and a sound HDF5 file that cannot be read is said to be sound, with
the same words of a case, a candidate and a weights file.

  outside_files_test.py BIN_DIR NO_LOCKS.so

Needs a Python ($APB_PYTHON) with what import.py needs.
"""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import sample_files
from refusals import Folder
from tool_testing import IMPORT_PY, ROOT, Checks, arguments, program, python_with, run, skip, temporary_folder

SHAPE = ["--random", "--doc-len", 64, "--ranks", 2, "--anchor", 8, "--query-len", 2, "--keep", 4, "--q-heads", 2,
         "--kv-heads", 2, "--head-dim", 8, "--dtype", "float32", "--with-expected"]

# Changes one dataset: outside.py FILE DATASET KIND, with KIND a key of KINDS.
CHANGE = """
import h5py, sys, numpy as np
path, name, kind = sys.argv[1:]
with h5py.File(path, "r+") as file:
    values = file[name][...]
    del file[name]
    if kind == "lzf":
        file.create_dataset(name, data=np.round(values), compression="lzf", chunks=True)
    elif kind == "virtual":
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        layout[:] = h5py.VirtualSource("other.h5", name, values.shape)
        file.create_virtual_dataset(name, layout)
    elif kind == "link":
        file[name] = h5py.ExternalLink("other.h5", name)
    elif kind == "storage":
        file.create_dataset(name, values.shape, values.dtype, external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)])
    elif kind == "nowhere":
        file[name] = h5py.SoftLink("/nowhere")
    elif kind == "gzip":
        file.create_dataset(name, data=values, compression="gzip", shuffle=True, fletcher32=True, chunks=True)
    elif kind == "unwritten":
        file.create_dataset(name, values.shape, values.dtype)
    elif kind == "half":
        half = file.create_dataset(name, values.shape, values.dtype, chunks=(8, *values.shape[1:]))
        half[:8] = values[:8]
"""
KINDS = {"lzf": "is packed by filter lzf (32000), which this HDF5 library lacks", "virtual": "is a virtual dataset",
         "link": "lies in other.h5 (external link)", "storage": "has its values in another file (external storage)",
         "nowhere": "is a link to /nowhere, which is not in this file"}

# A notebook that has a file open, until its standard input ends.
HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"

NOTES = """
import h5py, sys
with h5py.File(sys.argv[1], "r+") as file:
    for group in ("notes", "rank_0/mine", "layers_of_mine"):
        file.create_group(group)
        file[group + "/link"] = h5py.ExternalLink("/dev/null", "/x")
        file.create_dataset(group + "/lzf", data=[0.0] * 1000, compression="lzf")
        file.create_dataset(group + "/odd", data=[(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
"""


class Files:
    def __init__(self, checks: Checks, place: Path, python: str, bin_folder: str) -> None:
        self.checks, self.place, self.python = checks, place, python
        self.tools = {name: program(bin_folder, f"apb-{name}") for name in ("run", "case", "verify", "explain", "sim")}
        checks.right(self.run("case", "case.h5", *SHAPE), "a case")
        (place / "tiny.gguf").write_bytes(sample_files.tiny_gguf())
        checks.right(run([python, "-B", IMPORT_PY, "gguf", "tiny.gguf", "model.h5"], cwd=place), "a model")
        (place / "text").write_text("the thing that the other three thought of")
        self.python_run("a candidate", "import h5py, shutil, sys; shutil.copy('case.h5', 'answer.h5'); f = h5py.File('answer.h5', 'r+')\n"
                        "for name in list(f.attrs): del f.attrs[name]\n"
                        "f.attrs.update(compute_dtype='float64', out_dtype='float64')")

    def run(self, tool: str, *words: Any, **options: Any) -> Any:
        return run([self.tools[tool], *words], cwd=self.place, **options)

    def python_run(self, what: str, program_text: str, *words: Any) -> None:
        self.checks.right(run([self.python, "-c", program_text, *words], cwd=self.place), what)

    def reading(self, kind: str, path: str) -> list[Any]:
        """The command that reads this file as a case, a candidate or a model."""
        return {"case": [self.tools["verify"], path, "answer.h5"], "candidate": [self.tools["verify"], "case.h5", path],
                "weights": [self.tools["run"], "--weights", path, "--text", "text", "--query", "What?"]}[kind]


# A file of each kind, and a dataset in it.
PLACES = {"case": ("case.h5", "rank_0/query"), "candidate": ("answer.h5", "rank_0/out"), "weights": ("model.h5", "layers/0/key")}


def inputs_stay(files: Files) -> None:
    """Every output of every command against every input that it reads, under its own name and through a link."""
    place, machine = files.place, ROOT / "configs" / "machines" / "H100.json"
    shutil.copy(machine, place / "machine.json")
    shutil.copy(ROOT / "configs" / "models" / "llama-3.1-8b.json", place / "shape.json")
    (place / "lib.so").write_bytes(b"no library")
    model = ["--weights", "model.h5", "--text", "text", "--query", "x"]
    question = ["--model", "shape.json", "--machine", "machine.json", "--tokens", 1024, "--ranks", 2]
    commands: list[tuple[str, list[Any], str, list[str]]] = [
        ("verify", ["case.h5", "answer.h5"], "--json", ["case.h5", "answer.h5"]),
        ("verify", ["case.h5", "--plugin", "lib.so"], "--json", ["case.h5", "lib.so"]),
        ("run", [*model, "--compressor", "retaining_head", "--heads", "answer.h5"], "--trace", ["model.h5", "text", "answer.h5"]),
        ("case", [*model, "--compressor", "retaining_head", "--heads", "answer.h5"], "", ["model.h5", "text", "answer.h5"]),
        ("explain", ["--model", "shape.json"], "--svg", ["shape.json"]),
        ("sim", ["predict", *question], "--html", ["shape.json", "machine.json"]),
        ("sim", ["trace", *question], "--out", ["shape.json", "machine.json"]),
        ("sim", ["calibrate", "--machine", "machine.json", "--bench", "shape.json"], "--out", ["machine.json", "shape.json"])]
    folder = Folder(files.checks, place)
    for tool, words, option, inputs in commands:
        for name in inputs:
            (place / "other_name").unlink(missing_ok=True)
            (place / "other_name").symlink_to(name)
            for path in (name, f"./{name}", "other_name"):
                output = [option, path] if option else [path]
                folder.refused(f"apb {tool} {words[0]} {option} {path}", [files.tools[tool], *words, *output],
                               "is what .* reads: must be another file")
    (place / "other_name").unlink()
    named = ["calibrate", "--machine", "H100", "--bench", "shape.json", "--out", machine]
    files.checks.refused(files.run("sim", *named), "a machine of this project by name", "is what --machine reads")
    env = {"APB_WEIGHTS": str(place / "model.h5")}
    default = files.run("run", "--text", "text", "--query", "x", "--trace", "model.h5", env=env)
    files.checks.refused(default, "the model that is read without an option", "is what --weights reads")


def named_alike(files: Files) -> None:
    """What keeps a dataset from being read, and damage, in the same words whatever file it is."""
    folder = Folder(files.checks, files.place)
    shutil.copy(files.place / "answer.h5", files.place / "other.h5")
    for kind, (source, dataset) in PLACES.items():
        for change, words in KINDS.items():
            shutil.copy(files.place / source, files.place / "changed.h5")
            files.python_run(f"{kind}, {change}", CHANGE, "changed.h5", dataset, change)
            result = run(files.reading(kind, "changed.h5"), cwd=files.place)
            files.checks.refused(result, f"{kind}, {change}", f"changed.h5: /{dataset} ")
            files.checks.that(words in result.err, f"{kind}, {change}: must say '{words}'", result)
        whole = (files.place / source).read_bytes()
        for damage, content, words in (("cut", whole[:len(whole) // 2], "not an HDF5 file, truncated or corrupt"),
                                       ("text", b"no HDF5 at all\n", "not an HDF5 file, truncated or corrupt"),
                                       ("newer", whole[:8] + b"\x07" + whole[9:], r"newer HDF5 format \(superblock 7\)")):
            (files.place / "changed.h5").write_bytes(content)
            folder.refused(f"{kind}, {damage}", files.reading(kind, "changed.h5"), f"changed.h5: .*{words}")


def open_elsewhere(files: Files, no_locks: str) -> None:
    """A file in a notebook; a disk without locks."""
    for kind, (source, _) in PLACES.items():
        with subprocess.Popen([files.python, "-c", HOLD, source], cwd=files.place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as notebook:
            notebook.stdout.readline()
            held = run(files.reading(kind, source), cwd=files.place)
            files.checks.refused(held, f"{kind}, open elsewhere", f"{source}: another program has it open for writing", status=3)
            all_the_same = run(files.reading(kind, source), cwd=files.place, env={"HDF5_USE_FILE_LOCKING": "FALSE"})
            files.checks.right(all_the_same, f"{kind}, open elsewhere, without locks")
            notebook.stdin.close()
        files.checks.right(run(files.reading(kind, source), cwd=files.place, env={"LD_PRELOAD": no_locks}),
                           f"{kind} on a disk without locks")
    files.checks.right(files.run("case", "made.h5", *SHAPE, env={"LD_PRELOAD": no_locks}), "writing to such a disk")
    imported = run([files.python, "-B", IMPORT_PY, "gguf", "tiny.gguf", "made.h5"], cwd=files.place, env={"LD_PRELOAD": no_locks})
    files.checks.right(imported, "importing to such a disk")


def read_as_it_is(files: Files) -> None:
    """Compression; what stands in groups that nobody knows; a candidate's parts that were never written."""
    for kind, (source, dataset) in PLACES.items():
        shutil.copy(files.place / source, files.place / "changed.h5")
        files.python_run(f"{kind}, gzip", CHANGE, "changed.h5", dataset, "gzip")
        files.python_run(f"{kind}, notes", NOTES, "changed.h5")
        files.checks.right(run(files.reading(kind, "changed.h5"), cwd=files.place), f"{kind}, compressed and with notes")
        for change in ("unwritten", "half"):
            if (kind, change) == ("weights", "half"):  # its key has one chunk
                continue
            shutil.copy(files.place / source, files.place / "changed.h5")
            files.python_run(f"{kind}, {change}", CHANGE, "changed.h5", dataset, change)
            result = run(files.reading(kind, "changed.h5"), cwd=files.place)
            if kind == "candidate":  # zeros, which are wrong, and are judged
                files.checks.that(result.status == 1 and b"FAIL" in result.out and not result.err, f"{kind}, {change}: judged", result)
            else:
                files.checks.refused(result, f"{kind}, {change}", f"changed.h5: dataset /{dataset}: .* never written")


def main() -> None:
    bin_folder, no_locks = arguments("BIN_DIR NO_LOCKS.so", 2)
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    parts: list[Callable[[Files], None]] = [inputs_stay, named_alike, lambda files: open_elsewhere(files, no_locks), read_as_it_is]
    with temporary_folder() as name:
        for number, part in enumerate(parts):
            place = Path(name) / str(number)
            place.mkdir()
            part(Files(checks, place, python, bin_folder))
    checks.finish()


if __name__ == "__main__":
    main()
