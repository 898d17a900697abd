"""The tokenizer of a Hugging Face folder (tokenizer.json: byte-level BPE, or SentencePiece's) as datasets of a weights
file."""
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from gguf_file import BadInput, show
from json_settings import Settings, read_json_object
from tokenizer_tables import byte_level_bytes, ids_before_text, put_before_text, sentencepiece_bytes, token_tables


def parts_of(section: Any) -> set[str]:
    """Types of a tokenizer's part: its own, and those of the parts that it is a sequence of."""
    if not isinstance(section, dict):
        return set()
    found = {str(section.get("type"))}
    for key in ("pretokenizers", "decoders"):
        for part in section.get(key) or []:
            found |= parts_of(part)
    return found


def is_sentencepiece(settings: Settings) -> bool:
    """Refuses what is neither byte-level BPE nor SentencePiece's BPE, which falls back to bytes."""
    model = settings.section("model")
    if model is None:
        raise settings.refuse("model", "there")
    model.require("type", "BPE")
    model.require("dropout", None, 0.0)  # tokens at random
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        model.require(key, None, "")
    if model.require("byte_fallback", None, False, True):
        if not {"Replace", "ByteFallback"} <= parts_of(settings.values.get("decoder")):
            raise settings.refuse("decoder", "a Sequence with Replace and ByteFallback, as byte_fallback has it")
        return True
    for key in ("pre_tokenizer", "decoder"):
        if "ByteLevel" not in parts_of(settings.values.get(key)):
            raise settings.refuse(key, "ByteLevel, or a Sequence with it (byte-level BPE)")
    return False


def content_of(token: Any) -> Any:
    """A token's text, which tokenizer_config.json writes as it is or with its properties."""
    return token.get("content") if isinstance(token, dict) else token


def obey_config(tokenizer: Tokenizer, path: Path) -> None:
    """As in transformers, what tokenizer_config.json says of the BOS decides, whatever tokenizer.json does."""
    if not path.exists():
        return
    config = Settings(read_json_object(path), path)
    config.require("add_eos_token", None, False)
    if (wanted := config.require("add_bos_token", None, False, True)) is None:
        return
    token = content_of(config.values.get("bos_token")) if wanted else None
    if wanted and (not isinstance(token, str) or tokenizer.token_to_id(token) is None):
        raise config.refuse("bos_token", "a token of tokenizer.json with add_bos_token true")
    before = ids_before_text(tokenizer)
    if before != ([tokenizer.token_to_id(token)] if wanted else []):
        put_before_text(tokenizer, token)
        print(f"import: note: {path}: add_bos_token is {wanted}, and decides what stands before a text (tokenizer.json "
              f"alone would put {show([tokenizer.id_to_token(index) for index in before])} there)", file=sys.stderr)


def read_tokenizer(folder: Path) -> tuple[Tokenizer, bool]:
    """The tokenizer, and whether it is SentencePiece's."""
    path = folder / "tokenizer.json"
    if not path.exists() and (folder / "tokenizer.model").exists():
        raise BadInput("holds tokenizer.model (SentencePiece) and no tokenizer.json; transformers makes one: "
                       "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)", str(folder))
    sentencepiece = is_sentencepiece(Settings(read_json_object(path), path))
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exceptions
        raise BadInput(f"tokenizers cannot read it ({error})", str(path)) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    try:
        obey_config(tokenizer, folder / "tokenizer_config.json")
        ids_before_text(tokenizer)
    except BadInput as error:
        raise BadInput(str(error), error.where or str(path)) from None
    return tokenizer, sentencepiece


def tokenizer_datasets(folder: Path, vocab_size: int) -> dict[str, np.ndarray]:
    tokenizer, sentencepiece = read_tokenizer(folder)
    tokens = [""] * vocab_size  # a model may have more rows than its tokenizer has tokens
    for token, index in tokenizer.get_vocab(with_added_tokens=True).items():
        if not 0 <= index < vocab_size:
            raise BadInput(f"token {token!r} has id {index}, must be below vocab_size ({vocab_size})",
                           str(folder / "tokenizer.json"))
        tokens[index] = token
    spelled = sentencepiece_bytes(tokens) if sentencepiece else byte_level_bytes(tokens)
    for index, added in tokenizer.get_added_tokens_decoder().items():
        spelled[index] = added.content.encode()
    return token_tables(spelled, tokenizer)
