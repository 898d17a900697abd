"""Reads GGUF files that may be broken or hostile: every count and offset is checked before it is used."""
import math
import reprlib
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

# struct and numpy codes of GGUF's numeric value types; 8 is a string, 9 an array.
NUMBER_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MAX_ITEMS = 1 << 24  # of a list in the header: 65 times the largest vocabularies


class BadInput(Exception):
    """Its text names the key, what was found, and what is allowed; `where`, if given, what was read."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(text)
        self.where = where


def show(value: object) -> str:
    return reprlib.repr(value)


def show_name(name: str) -> str:
    """As show, with room for the name of a tensor."""
    return repr(name if len(name) <= 100 else name[:97] + "...")


def first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


class Tensor(NamedTuple):
    shape: tuple[int, ...]  # slowest dimension first
    kind: GGMLQuantizationType
    data: np.ndarray        # uint8 [rows, bytes of a row]


class Cursor:
    """Steps through a GGUF header and refuses to leave the file."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.at = memoryview(data), 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise BadInput(f"truncated: the header asks for {count} bytes at byte {self.at}, "
                           f"the file ends at {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def count(self, what: str, limit: int = MAX_ITEMS) -> int:
        count = self.number("Q")
        if count > limit:
            raise BadInput(f"{what} is {count}, must be at most {limit}")
        return count

    def text(self) -> str:
        raw = self.take(self.number("Q"))
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"the string at byte {self.at - len(raw)} is {show(bytes(raw))}, must be UTF-8") from None

    def value(self, kind: int, key: str) -> Any:
        if kind in NUMBER_CODES:
            return self.number(NUMBER_CODES[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            raise BadInput(f"{key}: value type is {kind}, must be 0 to 12")
        item, count = self.number("I"), self.count(f"{key}: length")
        if item in NUMBER_CODES:
            dtype = np.dtype("<" + NUMBER_CODES[item])
            return np.frombuffer(self.take(count * dtype.itemsize), dtype)
        if item != STRING:
            raise BadInput(f"{key}: list items have type {item}, must be numbers or strings")
        return [self.text() for _ in range(count)]


class Gguf:
    """Metadata and tensors of a GGUF file; the tensors stay on disk until they are used."""

    def __init__(self, path: Path) -> None:
        if (magic := first_bytes(path)) != b"GGUF":
            raise BadInput(f"not a GGUF file (starts with {ascii(magic.decode('latin-1'))}, must be 'GGUF')")
        file_bytes = np.memmap(path, np.uint8, mode="r")
        cursor = Cursor(file_bytes)
        cursor.take(len(magic))
        version = cursor.number("I")
        if version not in (2, 3):
            raise BadInput(f"GGUF version is {version}, must be 2 or 3 (little-endian)")
        num_tensors, num_keys = cursor.count("number of tensors"), cursor.count("number of metadata keys")
        self.metadata: dict[str, Any] = {}
        for _ in range(num_keys):
            key = cursor.text()
            self.metadata[key] = cursor.value(cursor.number("I"), show(key))
        entries = [self._tensor_entry(cursor) for _ in range(num_tensors)]
        alignment = self.integer("general.alignment", 32, low=1, high=1 << 20)
        self.tensors = self._place(entries, file_bytes[-(-cursor.at // alignment) * alignment:])

    @staticmethod
    def _tensor_entry(cursor: Cursor) -> tuple[str, tuple[int, ...], int, int]:
        name, num_dims = cursor.text(), cursor.number("I")
        if not 1 <= num_dims <= 4:
            raise BadInput(f"tensor {show(name)} has {num_dims} dimensions, must have 1 to 4")
        shape = tuple(cursor.number("Q") for _ in range(num_dims))[::-1]
        return name, shape, cursor.number("I"), cursor.number("Q")

    @staticmethod
    def _place(entries: list[tuple[str, tuple[int, ...], int, int]], data: np.ndarray) -> dict[str, Tensor]:
        tensors, unclaimed = {}, len(data)
        for name, shape, kind, offset in entries:
            if kind not in [known.value for known in GGML_QUANT_SIZES]:
                raise BadInput(f"tensor {show(name)} has type {kind}, which gguf does not know")
            values, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
            if min(shape) == 0 or shape[-1] % values:
                raise BadInput(f"tensor {show(name)} has shape {shape}, must be rows of whole blocks of {values} values")
            row_bytes = shape[-1] // values * size
            num_bytes = math.prod(shape[:-1]) * row_bytes
            if offset + num_bytes > len(data):
                raise BadInput(f"truncated: tensor {show(name)} needs bytes {offset} to {offset + num_bytes} "
                               f"of the tensor data, the file has {len(data)}")
            unclaimed -= num_bytes
            if name in tensors or unclaimed < 0:
                raise BadInput(f"tensor {show(name)} shares its name or bytes with another, must have its own")
            rows = data[offset:offset + num_bytes].reshape(-1, row_bytes)
            tensors[name] = Tensor(shape, GGMLQuantizationType(kind), rows)
        return tensors

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        value = self.metadata.get(key, default)
        if value is None:
            raise BadInput(f"{key} is missing")
        if type(value) is not kind:
            raise BadInput(f"{key} is {show(value)}, must be of type {kind.__name__}")
        return value

    def integer(self, key: str, default: int | None = None, low: int = 1, high: int = 2**31 - 1) -> int:
        value = self.get(key, int, default)
        if not low <= value <= high:
            raise BadInput(f"{key} is {value}, must be {low} to {high}")
        return value

    def real(self, key: str, default: float | None = None) -> float:
        value = self.get(key, float, default)
        if not 0 < value < math.inf:
            raise BadInput(f"{key} is {value}, must be positive and finite")
        return value
