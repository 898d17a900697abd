"""Reads settings from JSON files and refuses, by file and key, what is not as it must be."""
import json
import math
from pathlib import Path
from typing import Any

from gguf_file import BadInput, show


def read_json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput("no such file", str(path)) from None
    except IsADirectoryError:
        raise BadInput("is not a file", str(path)) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON ({error})", str(path)) from None
    if not isinstance(content, dict):
        raise BadInput(f"holds {show(content)}, must be a JSON object", str(path))
    return content


class Settings:
    """A JSON object of the file `where`; `prefix` names it there. A null counts as absent."""

    def __init__(self, values: dict[str, Any], where: Path, prefix: str = "") -> None:
        self.values, self.where, self.prefix = values, where, prefix

    def refuse(self, key: str, allowed: str) -> BadInput:
        value = show(self.values[key]) if key in self.values else "absent"
        return BadInput(f"{self.prefix}{key} is {value}, must be {allowed}", str(self.where))

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        value = self.values.get(key)
        if value is None:
            value = default
        if type(value) is not kind:
            raise self.refuse(key, f"of type {kind.__name__}")
        return value

    def integer(self, key: str, default: int | None = None, low: int = 1, high: int = 2**31 - 1) -> int:
        if not low <= (value := self.get(key, int, default)) <= high:
            raise self.refuse(key, f"{low} to {high}")
        return value

    def real(self, key: str, default: float | None = None) -> float:
        if type(self.values.get(key)) is int:
            return float(self.integer(key))
        if not 0 < (value := self.get(key, float, default)) < math.inf:
            raise self.refuse(key, "positive and finite")
        return value

    def require(self, key: str, *allowed: Any) -> Any:
        """Its value, which must be one of these; None among them allows it to be absent."""
        value = self.values.get(key)
        if not any(type(value) is type(known) and value == known for known in allowed):
            raise self.refuse(key, " or ".join("absent" if known is None else show(known) for known in allowed))
        return value

    def section(self, key: str) -> "Settings | None":
        if self.values.get(key) is None:
            return None
        return Settings(self.get(key, dict), self.where, f"{self.prefix}{key}.")
