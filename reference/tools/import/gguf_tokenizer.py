"""Rebuilds the byte-level BPE tokenizer that a GGUF file describes in its metadata."""
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from gguf_file import BadInput, Gguf, show

NORMAL_TOKEN, UNKNOWN_TOKEN, CONTROL_TOKEN = 1, 2, 3

LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")



def byte_alphabet() -> dict[str, int]:
    """The character by which byte-level BPE writes each byte: itself if it prints, else the next one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    def byte_level(gpt2_split: bool) -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=gpt2_split)

    if name == "gpt-2":
        return byte_level(True)
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)])
    if name == "llama-bpe":
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"), byte_level(False)])
    raise BadInput(f"tokenizer.ggml.pre is {show(name)}, must be 'gpt-2', 'smollm' or 'llama-bpe'")


def build_tokenizer(gguf: Gguf, tokens: list[str], types: np.ndarray) -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise BadInput(f"tokenizer.ggml.tokens has {len(vocabulary)} different tokens of {len(tokens)}, must not repeat")
    merges = [tuple(merge.split(" ")) for merge in gguf.get("tokenizer.ggml.merges", list)]
    for left_right in merges:
        if len(left_right) != 2 or not {*left_right, "".join(left_right)} <= vocabulary.keys():
            raise BadInput(f"tokenizer.ggml.merges has {show(' '.join(left_right))}, must be two tokens that join to one")
    pre = gguf.get("tokenizer.ggml.pre", str)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    for index in np.flatnonzero(types != NORMAL_TOKEN):
        special = types[index] in (UNKNOWN_TOKEN, CONTROL_TOKEN)
        tokenizer.add_tokens([AddedToken(tokens[index], special=special, normalized=False)])
    return tokenizer


def token_tables(tokens: list[str], normal: list[bool], special: list[bool],
                 tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """Datasets of a weights file: the bytes that each token stands for, and the tokenizer itself."""
    alphabet = byte_alphabet()
    spelled = [bytes(alphabet[letter] for letter in token) if is_normal and alphabet.keys() >= {*token}
               else token.encode() for token, is_normal in zip(tokens, normal)]
    return {"token_offsets": np.cumsum([0, *map(len, spelled)], dtype=np.int64),
            "token_bytes": np.frombuffer(b"".join(spelled), np.uint8),
            "is_special": np.array(special, np.uint8),
            "json": np.frombuffer(tokenizer.to_str().encode(), np.uint8)}


def tokenizer_datasets(gguf: Gguf) -> dict[str, np.ndarray]:
    kind = gguf.get("tokenizer.ggml.model", str)
    if kind != "gpt2":
        raise BadInput(f"tokenizer.ggml.model is {show(kind)}, must be 'gpt2' (byte-level BPE)")
    tokens, types = gguf.get("tokenizer.ggml.tokens", list), gguf.get("tokenizer.ggml.token_type", np.ndarray)
    if len(types) != len(tokens):
        raise BadInput(f"tokenizer.ggml.token_type has {len(types)} entries, must have {len(tokens)}")
    return token_tables(tokens, list(types == NORMAL_TOKEN), list(np.isin(types, (UNKNOWN_TOKEN, CONTROL_TOKEN))),
                        build_tokenizer(gguf, tokens, types))
