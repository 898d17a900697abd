"""The tokenizer of a Hugging Face folder (tokenizer.json, byte-level BPE) as datasets of a weights file."""
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from gguf_file import BadInput
from gguf_tokenizer import token_tables
from json_settings import Settings, read_json_object


def parts_of(section: Any) -> set[str]:
    """Types of a tokenizer's part: its own, and those of the parts that it is a sequence of."""
    if not isinstance(section, dict):
        return set()
    found = {str(section.get("type"))}
    for key in ("pretokenizers", "decoders"):
        for part in section.get(key) or []:
            found |= parts_of(part)
    return found


def refuse_other_kinds(settings: Settings) -> None:
    model = settings.section("model")
    if model is None:
        raise settings.refuse("model", "there")
    model.require("type", "BPE")
    model.require("byte_fallback", None, False)
    for key in ("pre_tokenizer", "decoder"):
        if "ByteLevel" not in parts_of(settings.values.get(key)):
            raise settings.refuse(key, "ByteLevel, or a Sequence with it (byte-level BPE)")


def tokenizer_datasets(path: Path, vocab_size: int) -> dict[str, np.ndarray]:
    refuse_other_kinds(Settings(read_json_object(path), path))
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exceptions
        raise BadInput(f"tokenizers cannot read it ({error})", str(path)) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    added = tokenizer.get_added_tokens_decoder()
    tokens = [""] * vocab_size  # a model may have more rows than its tokenizer has tokens
    for token, index in tokenizer.get_vocab(with_added_tokens=True).items():
        if not 0 <= index < vocab_size:
            raise BadInput(f"token {token!r} has id {index}, must be below vocab_size ({vocab_size})", str(path))
        tokens[index] = token
    normal = [index not in added for index in range(vocab_size)]
    special = [index in added and added[index].special for index in range(vocab_size)]
    return token_tables(tokens, normal, special, tokenizer)
