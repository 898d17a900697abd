#!/usr/bin/env python3
"""`./apb import heads`: what it writes, what uses it, and what it refuses.

  import_heads_test.py BIN_DIR

Heads come from tests/golden. Needs a Python ($APB_PYTHON) with what import.py needs.
"""
from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any, Callable

from packed_tensors import GOLDEN, packed_safetensors, read_safetensors
from refusals import Folder
from tool_testing import IMPORT_PY, Checks, arguments, program, python_with, run, skip, temporary_folder

NUM_FLIPS = 400

# Reads damaged copies of a file of tensors in one process: each must be read or refused. What stands in a torch file's
# archive is damaged in every other copy, so that its checksums stay right.
FLIP = """
import io, pathlib, random, sys, zipfile
sys.path.insert(0, sys.argv[1])
from gguf_file import BadInput
from tensor_files import read_tensors
source, number, first = pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
generator, content, counts = random.Random(5), source.read_bytes(), {True: 0, False: 0}

def damage(content, part):
    damaged = bytearray(content)
    for _ in range(generator.choice((1, 1, 3, 20))):
        damaged[generator.randrange(part)] = generator.choice((0, 255, generator.randrange(256)))
    return bytes(damaged)

def damage_pickle(content):
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            new.writestr(name, damage(member, len(member)) if name.endswith("data.pkl") else member)
    return packed.getvalue()

for index in range(number):
    if index % 2 and content[:2] == b"PK":
        damaged = damage_pickle(content)
    else:
        damaged = damage(content, first if index % 4 else len(content))
    if index % 10 == 0:
        damaged = damaged[:generator.randrange(len(content))]
    path = pathlib.Path("damaged")
    path.write_bytes(damaged)
    try:
        read_tensors(path)
        counts[True] += 1
    except BadInput as error:
        assert error.where == "damaged" and "\\n" not in str(error).strip(), (index, error)
        counts[False] += 1
print(counts[True], counts[False])
"""

FC1, FC2 = "model.layers.{}.self_attn.fc1.weight", "model.layers.{}.self_attn.fc2.weight"


def heads_file(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """heads.safetensors with tensors {name: (dtype, shape, bytes)} changed."""
    header, data = read_safetensors(GOLDEN / "heads" / "heads.safetensors")
    tensors = {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
               for name, entry in header.items() if name != "__metadata__"}
    change(tensors)
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    return packed_safetensors(header, data)


def make_linear(tensors: dict[str, Any]) -> None:
    for layer in range(4):
        del tensors[FC2.format(layer)]
        dtype, (_, inputs), values = tensors[FC1.format(layer)]
        tensors[FC1.format(layer)] = (dtype, [2, inputs], values[:2 * inputs * 2])


def torch_file(change: Callable[[dict[str, bytes]], Any]) -> bytes:
    """heads.bin with the members of its archive changed."""
    with zipfile.ZipFile(GOLDEN / "heads" / "heads.bin") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def with_pickle(content: bytes) -> bytes:
    return torch_file(lambda members: members.update({"heads/data.pkl": content}))


def in_pickle(old: bytes, new: bytes) -> bytes:
    def change(members: dict[str, bytes]) -> None:
        assert old in members["heads/data.pkl"]
        members["heads/data.pkl"] = members["heads/data.pkl"].replace(old, new)
    return torch_file(change)


def bad_heads() -> dict[str, tuple[bytes, list[str]]]:
    whole = (GOLDEN / "heads" / "heads.bin").read_bytes()

    def rename(tensors: dict[str, Any]) -> None:
        tensors["model.layers.0.self_attn.fc3.weight"] = tensors.pop(FC1.format(0))

    def reshape(name: str, shape: list[int]) -> Callable[[dict[str, Any]], Any]:
        return lambda tensors: tensors.update({name: (tensors[name][0], shape, tensors[name][2])})

    return {
        "empty": (b"", ["truncated"]), "text": (b"no heads at all\n" * 9, ["header"]),
        "old torch": (b"\x80\x02}q\x00.", ["bare pickle", "1.6"]),
        "none": (heads_file(lambda tensors: tensors.clear()), ["no retaining heads"]),
        "no fc1 of layer 0": (heads_file(rename), ["layers.0.self_attn.fc1.weight is missing"]),
        "no fc1 of layer 2": (heads_file(lambda t: t.pop(FC1.format(2))), ["layers.2.self_attn.fc1.weight is missing"]),
        "no fc2 of layer 3": (heads_file(lambda t: t.pop(FC2.format(3))), ["layers.3.self_attn.fc2.weight is missing"]),
        "no fc2 of layer 0": (heads_file(lambda t: t.pop(FC2.format(0))), ["layers.0.self_attn.fc2.weight is missing"]),
        "fc1 turned": (heads_file(reshape(FC1.format(1), [160, 20])), [r"fc1.weight has shape \(160, 20\)", r"\(20, 160\)"]),
        "fc2 turned": (heads_file(reshape(FC2.format(0), [20, 2])), [r"fc2.weight has shape \(20, 2\)|fc2.*must have"]),
        "fc1 flat": (heads_file(reshape(FC1.format(0), [3200])), ["fc1.weight has shape", "matrix"]),
        "not finite": (heads_file(lambda t: t.update({FC2.format(0): ("BF16", [2, 20], b"\xc0\x7f" * 40)})), ["not finite"]),
        "cut": (whole[:-30], ["archive"]), "cut early": (whole[:3000], ["archive"]),
        "two pickles": (torch_file(lambda m: m.update({"other/data.pkl": b""})), ["2 files data.pkl"]),
        "no pickle": (torch_file(lambda m: m.pop("heads/data.pkl")), ["0 files data.pkl"]),
        "no storage": (torch_file(lambda m: m.pop("heads/data/3")), ["archive is damaged"]),
        "short storage": (torch_file(lambda m: m.update({"heads/data/3": b"ab"})), ["does not fit its storage of 2 bytes"]),
        "big endian": (torch_file(lambda m: m.update({"heads/byteorder": b"big"})), ["byteorder"]),
        "os.system": (with_pickle(b"cos\nsystem\n(S'touch ran'\ntR."), ["'os.system'"]),
        "eval": (with_pickle(b"cbuiltins\neval\n(S'1'\ntR."), ["'builtins.eval'"]),
        "eval by stack": (with_pickle(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."), ["'builtins.eval'"]),
        "INST": (with_pickle(b"(S'touch ran'\nios\nsystem\n."), ["'os.system'"]),
        "allowed names with dots": (with_pickle(b"ccollections\nOrderedDict.fromkeys\n."), ["OrderedDict.fromkeys"]),
        "extension": (with_pickle(b"\x82\x01."), ["pickle cannot be read"]),
        "empty pickle": (with_pickle(b""), ["damaged|cannot be read"]),
        "list": (with_pickle(b"]."), ["dictionary of tensors"]),
        "number": (with_pickle(b"}(X\x01\x00\x00\x00aK\x05u."), ["must hold tensors by name"]),
        "calls a type": (with_pickle(b"ctorch\nHalfStorage\n(tR."), ["pickle cannot be read"]),
        "memo of a terabyte": (with_pickle(b"]r\xff\xff\xff\xff."), ["dictionary of tensors"]),
        "other storage": (in_pickle(b"BFloat16Storage", b"LongStorage"), ["'torch.LongStorage'"]),
        "other rebuild": (in_pickle(b"_rebuild_tensor_v2", b"_rebuild_sparse_tensor"), ["_rebuild_sparse_tensor"]),
        "too many elements": (in_pickle(b"K\x14K\xa0", b"K\xffK\xa0"), ["does not fit its storage"]),
        "other persistent id": (in_pickle(b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00sturage"), ["refers to"]),
    }


def heads_imports(checks: Checks, place: Path, python: str, bin_folder: str) -> None:
    tool, explain = program(bin_folder, "apb-run"), program(bin_folder, "apb-explain")
    (place / "linear.safetensors").write_bytes(heads_file(make_linear))
    for name, source in (("bin", GOLDEN / "heads" / "heads.bin"), ("safe", GOLDEN / "heads" / "heads.safetensors"),
                         ("linear", place / "linear.safetensors")):
        checks.right(run([python, "-B", IMPORT_PY, "heads", source, place / f"{name}.h5"]), f"import of heads, {name}")
    compare = ("import h5py, sys; a, b = h5py.File(sys.argv[1]), h5py.File(sys.argv[2]); print(sum((a[n][...] == b[n][...]"
               ").all() and a[n].shape == (s, 160 if s == 20 else 20) for l in range(4) for n, s in "
               "((f'layers/{l}/fc1', 20), (f'layers/{l}/fc2', 2))))")
    result = run([python, "-c", compare, place / "bin.h5", place / "safe.h5"])
    checks.equal(result.out.decode().strip(), "8", "matrices that torch and safetensors files agree in", result)

    (place / "text").write_bytes(b"0123456789" * 12)
    asked = ["--text", place / "text", "--query", "What?"]
    options = ["--json", "--compressor", "retaining_head", "--keep", "4", "--max-answer", "2"]
    command = [tool, "--toy", *asked, *options]
    reports = {}
    for name in ("bin", "linear"):
        for more in ((), ("--pool", "1"), ("--transport", "mpi"), ("--precision", "double")):
            result = run([*command, "--heads", place / f"{name}.h5", *more], cwd=place)
            if checks.right(result, f"apb-run with heads {name} {' '.join(more)}"):
                reports[name, more] = result.json()
        # 30 block rows on each of 4 ranks, 4 layers, 160 inputs, 2 KV heads, 20 hidden units or none.
        flop = 4 * 2 * 30 * (160 * 20 + 20 * 2 if name == "bin" else 160 * 2)
        for more in ((), ("--transport", "mpi")):
            found = [rank["compressor_flop"] for rank in reports[name, more]["counters_per_rank"]]
            checks.equal(found, [flop] * 4, f"FLOPs of heads {name} {' '.join(more)}")
        checks.equal(reports[name, ("--transport", "mpi")]["answer_tokens"], reports[name, ()]["answer_tokens"],
                     f"answer with heads {name}: MPI and local")
    checks.equal(reports["bin", ("--pool", "1")]["config"]["pool_kernel"], 1, "--pool 1 in the report")

    folder = Folder(checks, place / "refusals")
    (folder.path / "cut.h5").write_bytes((place / "bin.h5").read_bytes()[:9000])
    shutil.copyfile(place / "bin.h5", folder.path / "heads.h5")
    weights = folder.path / "model.h5"
    run([python, "-B", IMPORT_PY, "hf", GOLDEN / "hf_llama_28_4", weights])
    for words, wanted in ((options, ["--heads is missing"]),
                          (["--json", "--heads", "heads.h5"], ["compressor", "query_aware", "retaining_head"]),
                          ([*options, "--heads", "nowhere.h5"], ["nowhere.h5"]),
                          ([*options, "--heads", "cut.h5"], ["cut.h5"]),
                          ([*options, "--heads", "model.h5"], ["model.h5: schema = apb-weights", "apb-heads"])):
        for transport in ("local", "mpi"):
            folder.refused(f"apb-run {words}", [tool, "--toy", *asked, *words, "--transport", transport], *wanted)
    folder.refused("heads for another model", [tool, "--weights", "model.h5", *asked, *options, "--heads", "heads.h5"],
                   "heads.h5", "num_layers|num_kv_heads|input_size", "as in the model")
    checks.right(run([explain, "--model", "yi-34b-200k"]), "apb-explain of a known model")
    for words, wanted in ((["gpt-5"], ["gpt-5", "llama-3.1-8b", "yi-34b-200k"]), (["nowhere.json"], ["nowhere.json"]),
                          (["qwen2.5-14b", "--kv-heads", "2"], ["--model", "--kv-heads"])):
        folder.refused(f"apb-explain --model {words}", [explain, "--model", *words], *wanted)
    folder.refused("apb-explain without a model", [explain, "--compressor", "retaining_head"], "retaining_head",
                   "query_aware", "apb run")


def heads_refusals(folder: Folder, python: str) -> None:
    for name, (content, wanted) in bad_heads().items():
        (folder.path / "heads").write_bytes(content)
        folder.refused(f"import of heads: {name}", [python, "-B", IMPORT_PY, "heads", "heads", "out.h5"], "heads", *wanted)
    folder.checks.that(not (folder.path / "ran").exists(), "no pickle may run a command")
    folder.refused("import of heads from a folder", [python, "-B", IMPORT_PY, "heads", ".", "out.h5"], "not a file")
    folder.refused("import of no heads", [python, "-B", IMPORT_PY, "heads", "nowhere", "out.h5"], "nowhere", "no such")


def damaged_tensor_files(checks: Checks, place: Path, python: str) -> None:
    """Bytes changed at random: half of them in the part that is mostly structure."""
    for name, structure in (("heads.bin", 6000), ("heads.safetensors", 900)):
        result = run([python, "-B", "-c", FLIP, IMPORT_PY.parent, GOLDEN / "heads" / name, NUM_FLIPS, structure],
                     cwd=place, timeout=240)
        if checks.right(result, f"damaged copies of {name}"):
            read, refused = map(int, result.out.split())
            print(f"damaged copies of {name}: {read} read, {refused} refused")
            checks.that(read + refused == NUM_FLIPS and read > 9 and refused > 9, f"damaged copies of {name}", result.out)


def main() -> None:
    bin_folder = arguments("BIN_DIR", 1)[0]
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        for part in ("heads", "damaged"):
            (root / part).mkdir()
        heads_imports(checks, root / "heads", python, bin_folder)
        heads_refusals(Folder(checks, root / "bad_heads"), python)
        damaged_tensor_files(checks, root / "damaged", python)
    checks.finish()


if __name__ == "__main__":
    main()
