"""Rebuilds the tokenizer that a GGUF file describes in its metadata: byte-level BPE, or SentencePiece's BPE.

Defaults of absent keys are llama.cpp's, which every writer of such files relies on.
"""
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from gguf_file import BadInput, Gguf, show
from tokenizer_tables import (SPACE, byte_level_bytes, ids_before_text, put_before_text, sentencepiece_bytes,
                              token_tables)

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # token types

LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")  # every digit alone

# Keys that would change the tokens in a way that no tokenizer built here has.
REFUSED_KEYS = ("add_eos_token", "add_sep_token", "remove_extra_whitespaces", "precompiled_charsmap")


def pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    def byte_level(gpt2_split: bool) -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=gpt2_split)

    def split(pattern: str) -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(False)])

    if name == "gpt-2":
        return byte_level(True)
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)])
    if name == "llama-bpe":
        return split(LLAMA3_SPLIT)
    if name == "qwen2":
        return split(QWEN2_SPLIT)
    raise BadInput(f"tokenizer.ggml.pre is {show(name)}, must be 'gpt-2', 'smollm', 'llama-bpe' or 'qwen2' (another "
                   "model may be imported as a Hugging Face folder, which has the tokenizer itself)")


def byte_level_bpe(gguf: Gguf, vocabulary: dict[str, int]) -> Tokenizer:
    merges = [tuple(merge.split(" ")) for merge in gguf.get("tokenizer.ggml.merges", list)]
    for left_right in merges:
        if len(left_right) != 2 or not {*left_right, "".join(left_right)} <= vocabulary.keys():
            raise BadInput(f"tokenizer.ggml.merges has {show(' '.join(left_right))}, must be two tokens that join to one")
    pre = gguf.get("tokenizer.ggml.pre", str)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    if gguf.get("tokenizer.ggml.add_space_prefix", bool, False):
        raise BadInput("tokenizer.ggml.add_space_prefix is True, must be absent or False with byte-level BPE")
    return tokenizer


def merges_by_score(pieces: dict[str, int], scores: np.ndarray) -> list[tuple[str, str]]:
    """SentencePiece joins the two neighbours whose joint piece scores highest: all such pairs, the best first."""
    pairs = [(-scores[index], index, place, (piece[:place], piece[place:])) for piece, index in pieces.items()
             for place in range(1, len(piece)) if piece[:place] in pieces and piece[place:] in pieces]
    return [pair for *_, pair in sorted(pairs)]


def sentencepiece_bpe(gguf: Gguf, vocabulary: dict[str, int], types: np.ndarray) -> Tokenizer:
    scores = gguf.get("tokenizer.ggml.scores", np.ndarray)
    if len(scores) != len(types):
        raise BadInput(f"tokenizer.ggml.scores has {len(scores)} entries, must have {len(types)}")
    missing = [byte for byte in range(256) if f"<0x{byte:02X}>" not in vocabulary]
    unknown = [token for token, index in vocabulary.items() if types[index] == UNKNOWN]
    if missing or len(unknown) != 1:
        raise BadInput(f"tokenizer.ggml.tokens lacks {len(missing)} of the 256 tokens <0x00> to <0xFF> and has "
                       f"{len(unknown)} of type unknown, must have all and one")
    pieces = {token: index for token, index in vocabulary.items() if types[index] == NORMAL}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges_by_score(pieces, scores), unk_token=unknown[0], fuse_unk=True,
                                     byte_fallback=True))
    prefix = [normalizers.Prepend(SPACE)] if gguf.get("tokenizer.ggml.add_space_prefix", bool, True) else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def build_tokenizer(gguf: Gguf, tokens: list[str], types: np.ndarray) -> Tokenizer:
    for key in REFUSED_KEYS:
        value: Any = gguf.metadata.get(f"tokenizer.ggml.{key}")
        if value is not None and np.any(value):
            raise BadInput(f"tokenizer.ggml.{key} is {show(value)}, must be absent")
    vocabulary = {token: index for index, token in enumerate(tokens) if types[index] != UNUSED}
    if (used := int(np.sum(types != UNUSED))) != len(vocabulary):
        raise BadInput(f"tokenizer.ggml.tokens has {len(vocabulary)} different tokens of {used}, must not repeat")
    kind = gguf.get("tokenizer.ggml.model", str)
    if kind == "gpt2":
        tokenizer = byte_level_bpe(gguf, vocabulary)
    elif kind == "llama":
        tokenizer = sentencepiece_bpe(gguf, vocabulary, types)
    else:
        raise BadInput(f"tokenizer.ggml.model is {show(kind)}, must be 'gpt2' (byte-level BPE) or 'llama' (SentencePiece)")
    for token, index in vocabulary.items():
        if types[index] in (UNKNOWN, CONTROL, USER_DEFINED):
            if kind == "llama" and SPACE in token:
                raise BadInput(f"tokenizer.ggml.tokens has {show(token)} of type {types[index]}, must have no space")
            tokenizer.add_tokens([AddedToken(token, special=types[index] != USER_DEFINED, normalized=False)])
    return tokenizer


def add_bos(gguf: Gguf, tokenizer: Tokenizer, tokens: list[str]) -> None:
    by_default = gguf.get("tokenizer.ggml.model", str) == "llama" or gguf.get("tokenizer.ggml.pre", str) == "llama-bpe"
    if gguf.get("tokenizer.ggml.add_bos_token", bool, by_default):
        put_before_text(tokenizer, tokens[gguf.integer("tokenizer.ggml.bos_token_id", low=0, high=len(tokens) - 1)])
    ids_before_text(tokenizer)


def tokenizer_datasets(gguf: Gguf) -> dict[str, np.ndarray]:
    tokens, types = gguf.get("tokenizer.ggml.tokens", list), gguf.get("tokenizer.ggml.token_type", np.ndarray)
    if len(types) != len(tokens):
        raise BadInput(f"tokenizer.ggml.token_type has {len(types)} entries, must have {len(tokens)}")
    tokenizer = build_tokenizer(gguf, tokens, types)
    add_bos(gguf, tokenizer, tokens)
    spell = byte_level_bytes if gguf.get("tokenizer.ggml.model", str) == "gpt2" else sentencepiece_bytes
    spelled = [text if types[index] in (NORMAL, BYTE) else tokens[index].encode()
               for index, text in enumerate(spell(tokens))]
    return token_tables(spelled, tokenizer)
