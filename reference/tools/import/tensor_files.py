"""Reads the tensors of safetensors files and of torch's zip files, which may be broken or hostile.

Every size is checked before it is used, and a torch file's pickle may name nothing but what a plain dictionary of
tensors needs: it is data here, never a program.
"""
import collections
import json
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gguf_file import BadInput, first_bytes, show, show_name

STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # numpy has no bfloat16: its bits
MAX_HEADER_BYTES = 100 << 20  # safetensors' own limit
MAX_PICKLE_BYTES = 64 << 20


class StoredTensor(NamedTuple):
    kind: str          # a key of STORED
    values: np.ndarray  # in the tensor's shape; of BF16 the bits

    def exact_type(self) -> str:
        """A type of HDF5 that holds the values exactly."""
        return "<f4" if self.kind == "BF16" else STORED[self.kind]

    def rows(self, rows: Any) -> np.ndarray:
        values = self.values[rows]
        return (values.astype(np.uint32) << 16).view(np.float32) if self.kind == "BF16" else values


class TensorSource:
    """Tensors by name, as weights_file.Source wants them."""

    def __init__(self, tensors: dict[str, StoredTensor]) -> None:
        self.tensors = tensors

    def names(self) -> set[str]:
        return set(self.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].values.shape

    def stored_type(self, name: str) -> str:
        return self.tensors[name].exact_type()

    def rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        return self.tensors[name].rows(rows)


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def is_list_of_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**48 for item in value)


def safetensors_header(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """The header, and the bytes after it."""
    size = path.stat().st_size
    if size < 8:
        raise BadInput(f"truncated: has {size} bytes, a safetensors file has at least 8", str(path))
    content = np.memmap(path, np.uint8, mode="r")
    length = int.from_bytes(bytes(content[:8]), "little")
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise BadInput(f"truncated or no safetensors file: its header must have {length} bytes, {size - 8} follow",
                       str(path))
    try:
        header = json.loads(bytes(content[8:8 + length]), object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"its safetensors header is not JSON ({error})", str(path)) from None
    if not isinstance(header, dict):
        raise BadInput(f"its safetensors header is {show(header)}, must be a JSON object", str(path))
    return header, content[8 + length:]


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors stay on disk until they are used."""
    header, data = safetensors_header(path)
    header.pop("__metadata__", None)
    tensors, at = {}, 0
    for name, entry in header.items():
        if not isinstance(entry, dict) or not is_list_of_counts(entry.get("shape")) or not is_list_of_counts(
                entry.get("data_offsets")) or len(entry["data_offsets"]) != 2:
            raise BadInput(f"tensor {show_name(name)} is {show(entry)}, must have dtype, shape and two data_offsets", str(path))
        if not isinstance(kind := entry.get("dtype"), str) or kind not in STORED:
            raise BadInput(f"tensor {show_name(name)} has dtype {show(kind)}, must be one of {', '.join(STORED)}", str(path))
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        stored, (begin, end) = np.dtype(STORED[entry["dtype"]]), entry["data_offsets"]
        num_bytes = math.prod(entry["shape"]) * stored.itemsize
        if begin != at or end - begin != num_bytes:
            raise BadInput(f"tensor {show_name(name)} has data_offsets {begin} to {end}, must be {at} to {at + num_bytes}",
                           str(path))
        if end > len(data):
            raise BadInput(f"truncated: tensor {show_name(name)} needs bytes {begin} to {end} of the tensor data, "
                           f"the file has {len(data)}", str(path))
        at = end
        tensors[name] = StoredTensor(entry["dtype"], data[begin:end].view(stored).reshape(entry["shape"]))
    if at != len(data):
        raise BadInput(f"{len(data) - at} bytes after the last tensor, must be none", str(path))
    return tensors


# ---- torch -----------------------------------------------------------------------------------------------------------


class Storage(NamedTuple):
    kind: str
    key: str
    count: int


class Strided(NamedTuple):
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> Strided:
    shape, stride = list(shape), list(stride)
    if not isinstance(storage, Storage) or not is_list_of_counts([offset, *shape, *stride]) or len(shape) != len(stride):
        raise BadInput("its pickle describes a tensor that cannot be")
    return Strided(storage, offset, tuple(shape), tuple(stride))


# All that the pickle of a dictionary of tensors names; a storage class stands for its type.
ALLOWED_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch", "DoubleStorage"): "F64",
    ("torch", "FloatStorage"): "F32",
    ("torch", "HalfStorage"): "F16",
    ("torch", "BFloat16Storage"): "BF16",
}


class TensorUnpickler(pickle._Unpickler):  # the one in Python: the one in C can be made to take all memory
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED_GLOBALS:
            raise BadInput(f"its pickle asks for {(module + '.' + name)[:80]!r}, which no file of plain tensors needs")
        return ALLOWED_GLOBALS[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and pid[1] in STORED and
                isinstance(pid[2], str) and is_list_of_counts([pid[4]])):
            raise BadInput(f"its pickle refers to {show(pid)}, must be a storage of floats")
        return Storage(pid[1], pid[2], pid[4])


def strided_values(archive: zipfile.ZipFile, folder: str, tensor: Strided, name: str,
                   read: dict[str, np.ndarray]) -> StoredTensor:
    """A tensor as a view of its storage. `read`: the storages that have been read, by key; several may share one."""
    stored, storage = np.dtype(STORED[tensor.storage.kind]), tensor.storage
    member = archive.getinfo(f"{folder}/data/{storage.key}")
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride))
    if member.file_size != storage.count * stored.itemsize or last >= storage.count or \
            math.prod(tensor.shape) > storage.count or 0 in tensor.shape:
        raise BadInput(f"tensor {show_name(name)} of shape {tensor.shape} does not fit its storage of {member.file_size} bytes")
    if storage.key not in read:
        read[storage.key] = np.frombuffer(archive.read(member), np.uint8)
    values = read[storage.key].view(stored)[tensor.offset:]
    strides = [step * stored.itemsize for step in tensor.stride]
    return StoredTensor(storage.kind, np.lib.stride_tricks.as_strided(values, tensor.shape, strides, writeable=False))


def read_torch(path: Path) -> dict[str, StoredTensor]:
    """A file that torch.save made of a dictionary of tensors (torch 1.6 or newer: a zip archive)."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise BadInput(f"the archive holds {len(pickles)} files data.pkl, must hold exactly one")
            if (size := archive.getinfo(pickles[0]).file_size) > MAX_PICKLE_BYTES:
                raise BadInput(f"data.pkl has {size} bytes, must have at most {MAX_PICKLE_BYTES}")
            folder = pickles[0].removesuffix("/data.pkl")
            if f"{folder}/byteorder" in archive.namelist() and archive.read(f"{folder}/byteorder") != b"little":
                raise BadInput("byteorder must be little")
            with archive.open(pickles[0]) as file:
                content = TensorUnpickler(file).load()
            if not isinstance(content, dict):
                raise BadInput(f"its pickle holds {show(content)}, must hold a dictionary of tensors")
            for name, tensor in content.items():
                if not isinstance(name, str) or not isinstance(tensor, Strided):
                    raise BadInput(f"its pickle holds {show(name)}: {show(tensor)}, must hold tensors by name")
            read: dict[str, np.ndarray] = {}
            return {name: strided_values(archive, folder, tensor, name, read) for name, tensor in content.items()}
    except BadInput as error:
        raise BadInput(str(error), error.where or str(path)) from None
    except (OSError, MemoryError):
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise BadInput(f"the torch archive is damaged ({error})", str(path)) from None
    except Exception as error:  # a hostile pickle fails in many ways
        raise BadInput(f"its pickle cannot be read ({type(error).__name__}: {error})", str(path)) from None


def read_tensors(path: Path) -> dict[str, StoredTensor]:
    if not path.is_file():
        raise BadInput("no such file" if not path.exists() else "is not a file", str(path))
    start = first_bytes(path)
    if start.startswith(b"\x80"):
        raise BadInput("a bare pickle (torch before 1.6), must be a zip: load it with torch and save it again", str(path))
    return read_torch(path) if start.startswith(b"PK") else read_safetensors(path)
