"""What a weights file holds of a tokenizer: the `tokenizers` library's JSON, and the bytes that each token stands for."""
import re
from collections.abc import Iterable

import numpy as np
from tokenizers import Tokenizer, processors

from gguf_file import BadInput

SPACE = "\u2581"  # how SentencePiece writes a space
BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")


def byte_alphabet() -> dict[str, int]:
    """The character by which byte-level BPE writes each byte: itself if it prints, else the next one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def byte_level_bytes(tokens: Iterable[str]) -> list[bytes]:
    alphabet = byte_alphabet()
    return [bytes(alphabet[letter] for letter in token) if alphabet.keys() >= {*token} else token.encode()
            for token in tokens]


def sentencepiece_bytes(tokens: Iterable[str]) -> list[bytes]:
    matches = [(token, BYTE_TOKEN.fullmatch(token)) for token in tokens]
    return [bytes([int(match[1], 16)]) if match else token.replace(SPACE, " ").encode() for token, match in matches]


def ids_before_text(tokenizer: Tokenizer) -> list[int]:
    """What the tokenizer puts before every text: of Llama 3 its <|begin_of_text|>, of others nothing.

    Refuses one that puts something after it, where the question is to follow.
    """
    probes = (tokenizer.encode(text, add_special_tokens=False) for text in ("a", "0", " ", "\n", "\u4e2d"))
    probe = next((probe for probe in probes if probe.ids), None)
    if probe is None:
        return []
    whole = tokenizer.post_process(probe)
    own = [place for place, sequence in enumerate(whole.sequence_ids) if sequence is not None]
    if len(own) != len(probe.ids) or own[-1] + 1 != len(whole.ids):
        raise BadInput(f"post_processor makes {whole.tokens} of {probe.tokens}, may put tokens before a text only")
    return whole.ids[:own[0]]


def put_before_text(tokenizer: Tokenizer, token: str | None) -> None:
    """Makes `token`, or nothing, what stands before every text."""
    before = [] if token is None else [token]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*before, "$A"], special_tokens=[(name, tokenizer.token_to_id(name)) for name in before])


def token_tables(spelled: list[bytes], tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """Datasets of a weights file. `spelled`: the bytes of every token."""
    return {"token_offsets": np.cumsum([0, *map(len, spelled)], dtype=np.int64),
            "token_bytes": np.frombuffer(b"".join(spelled), np.uint8),
            "json": np.frombuffer(tokenizer.to_str().encode(), np.uint8)}
