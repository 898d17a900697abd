"""Safetensors files, read and written byte by byte; and where the tests' models and heads lie."""
from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tool_testing import ROOT

GOLDEN = ROOT / "tests" / "golden"


def read_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:start]), content[start:]


def packed_safetensors(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text)) + text + data
