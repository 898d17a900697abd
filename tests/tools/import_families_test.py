#!/usr/bin/env python3
"""What imports never guess: GGUF and Hugging Face files of one model, RoPE scaling in every spelling, end tokens, what
stands before a text, spaces, parts of a model and two models in one folder.

  import_families_test.py BIN_DIR

Needs a Python ($APB_PYTHON) with what import.py needs.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Optional

import sample_files
from packed_tensors import GOLDEN
from refusals import Folder
from tool_testing import IMPORT_PY, Checks, arguments, program, python_with, run, skip, temporary_folder

FAMILIES = ("llama_28_4", "llama_1_1", "qwen2_28_4", "qwen2_1_1", "qwen2_yarn", "sentencepiece_linear")
TEXT = "the thing that the other three thought of: naïve, 42 times;\n\n  then they met"

# Prints what two weights files hold differently, by name. Tokens that no text has (padding) have no bytes in one.
DIFFERENCES = """
import h5py, numpy as np, sys
a, b = (h5py.File(path) for path in sys.argv[1:])
names = set()
for file in (a, b):
    file.visititems(lambda name, item: names.add(name) if isinstance(item, h5py.Dataset) else None)
same = lambda x, y: x is not None and y is not None and np.array_equal(np.asarray(x), np.asarray(y))
print(*sorted([name for name in {*a.attrs, *b.attrs} if not same(a.attrs.get(name), b.attrs.get(name))] +
              [name for name in names if not name.startswith("tokenizer/")
               and not same(a.get(name) and a[name][...], b.get(name) and b[name][...])]))
"""
# Prints attributes and divisors of a weights file as JSON.
CONTENT = """
import h5py, json, numpy as np, sys
file = h5py.File(sys.argv[1])
found = {name: value.decode() if isinstance(value, bytes) else np.asarray(value).tolist()
         for name, value in file.attrs.items()}
if "rope_divisors" in file:
    found["rope_divisors"] = file["rope_divisors"][...].tolist()
print(json.dumps(found))
"""


class Importer:
    """Imports in a folder, and runs what was imported."""

    def __init__(self, checks: Checks, place: Path, python: str, tool: Path) -> None:
        self.checks, self.place, self.python, self.tool = checks, place, python, tool
        self.folder = Folder(checks, place)
        (place / "text").write_text(TEXT)

    def command(self, kind: str, source: Any, out: str) -> list[Any]:
        return [self.python, "-B", IMPORT_PY, kind, source, out]

    def imported(self, kind: str, source: Any, out: str) -> str:
        """Imports; returns what was said beside the progress."""
        result = run(self.command(kind, source, out), cwd=self.place)
        self.checks.right(result, f"import {kind} {Path(source).name}")
        return "\n".join(line for line in result.err.splitlines() if not line.startswith("layer "))

    def to_gguf(self, folder: Any, out: str) -> None:
        converted = run([self.python, "-B", Path(__file__).with_name("gguf_of_folder.py"), folder, out], cwd=self.place)
        self.checks.right(converted, f"{folder} as GGUF")

    def content(self, path: str) -> dict[str, Any]:
        return run([self.python, "-c", CONTENT, path], cwd=self.place).json()

    def encoded(self, path: str, *texts: str) -> list[dict[str, Any]]:
        result = run([self.python, "-B", IMPORT_PY, "encode", "--weights", path], json.dumps(texts).encode(), cwd=self.place)
        return result.json() if self.checks.right(result, f"encode by {path}") else []

    def run(self, path: str, *options: Any) -> dict[str, Any]:
        """The results; what was said on stderr is in "said"."""
        result = run([self.tool, "--weights", path, "--text", "text", "--query", "what", "--json", "--method", "full",
                      "--ranks", 1, "--nll", "--precision", "double", "--max-answer", 4, *options], cwd=self.place)
        self.checks.right(result, f"apb-run with {path}")
        notes = [line for line in result.err.splitlines() if "layer " not in line]
        return {**result.json(), "said": "\n".join(notes)} if result.status == 0 else {}


def families(importer: Importer) -> None:
    """A model as GGUF and as a Hugging Face folder is the same model, with the same tokens."""
    checks = importer.checks
    rounded = "name rms_norm_eps source"  # GGUF holds a float of 32 bits
    llama3 = ("name rms_norm_eps rope_divisors rope_factor rope_high_freq_factor rope_low_freq_factor rope_magnitude "
              "rope_original_context_len rope_scaling source")
    for name in FAMILIES:
        importer.to_gguf(GOLDEN / f"hf_{name}", "model.gguf")
        importer.imported("gguf", "model.gguf", "gguf.h5")
        importer.imported("hf", GOLDEN / f"hf_{name}", "hf.h5")
        found = run([importer.python, "-c", DIFFERENCES, "hf.h5", "gguf.h5"], cwd=importer.place).out.decode().split()
        wanted = (llama3 if name in ("llama_28_4", "qwen2_1_1") else rounded).split()
        checks.equal([word for word in found if word != "bos_token_id"], wanted, f"{name}: what differs")
        golden = json.loads((GOLDEN / f"hf_{name}" / "golden.json").read_text())
        texts = [golden["text"], TEXT, " a", "cafe\u0301", "[PAD265] <|end|> </s>"]
        both = [importer.encoded(path, *texts) for path in ("hf.h5", "gguf.h5")]
        checks.equal(both[1], both[0], f"{name}: tokens")
        checks.equal(both[0][0]["ids"], golden["token_ids"], f"{name}: tokens of transformers")
        checks.equal(both[0][0]["before"], golden["before_text"], f"{name}: tokens before a text")
        nll = [importer.run(path).get("nll_per_token", [0.0]) for path in ("hf.h5", "gguf.h5")]
        error = max(abs(a - b) for a, b in zip(*nll))
        checks.that(len(nll[0]) == len(nll[1]) > 40 and error < 1e-4, f"{name}: nll of each token", error)


def sentencepiece(importer: Importer) -> None:
    """The ids of SentencePiece itself, from pieces and scores alone."""
    golden = json.loads((GOLDEN / "sentencepiece.json").read_text())
    pieces, u32, i32, f32 = golden["pieces"], sample_files.UINT32, sample_files.INT32, sample_files.FLOAT32
    array, text, key = sample_files.ARRAY, sample_files.STRING, "tokenizer.ggml."
    metadata = {name: value for name, value in sample_files.tiny_metadata().items() if not name.startswith(key)}
    tensors = {name: (len(pieces), *shape[1:]) if shape[0] == len(sample_files.VOCABULARY) else shape
               for name, shape in sample_files.tiny_tensors().items()}
    metadata |= {key + "model": (text, "llama"), key + "tokens": (array, (text, pieces)),
                 key + "scores": (array, (f32, golden["scores"])), key + "token_type": (array, (i32, golden["types"])),
                 key + "bos_token_id": (u32, 1), key + "eos_token_id": (u32, 2)}
    (importer.place / "pieces.gguf").write_bytes(sample_files.tiny_gguf(metadata, tensors))
    importer.imported("gguf", "pieces.gguf", "pieces.h5")
    for entry, found in zip(golden["texts"], importer.encoded("pieces.h5", *(entry["text"] for entry in golden["texts"]))):
        importer.checks.equal(found["ids"], entry["ids"], f"SentencePiece's ids of {entry['text']!r}")
        importer.checks.equal(found["before"], [1], "a BOS stands before every text of SentencePiece")
    for change, word in ((key + "scores", "scores is missing"), (key + "bos_token_id", "bos_token_id is missing")):
        less = {name: value for name, value in metadata.items() if name != change}
        (importer.place / "less.gguf").write_bytes(sample_files.tiny_gguf(less, tensors))
        importer.folder.refused(f"pieces without {change}", importer.command("gguf", "less.gguf", "no.h5"), word)


# Changes of a tiny GGUF file's keys, and the divisors that follow or a word of the refusal.
GGUF_ROPE: list[tuple[dict[str, tuple[int, Any]], Any]] = [
    ({}, None),
    ({"scaling.type": (sample_files.STRING, "none")}, None),
    ({"scaling.factor": (sample_files.FLOAT32, 4.0)}, [4.0, 4.0]),  # llama.cpp takes this as linear
    ({"scale_linear": (sample_files.FLOAT32, 4.0)}, [4.0, 4.0]),
    ({"scaling.type": (sample_files.STRING, "linear"), "scaling.factor": (sample_files.FLOAT32, 2.0)}, [2.0, 2.0]),
    ({"scaling.factor": (sample_files.FLOAT32, 0.0)}, None),
    ({"scaling.factor": (sample_files.FLOAT32, 4.0), "scale_linear": (sample_files.FLOAT32, 2.0)}, "scale_linear is 2"),
    ({"scaling.type": (sample_files.STRING, "none"), "scaling.factor": (sample_files.FLOAT32, 4.0)}, "scaling.factor is 4"),
    ({"scaling.factor": (sample_files.FLOAT32, -4.0)}, "scaling.factor is -4.0, must be positive"),
    ({"scaling.type": (sample_files.STRING, "longrope")}, "scaling.type is 'longrope', must be 'none', 'linear', 'yarn'"),
    ({"scaling.type": (sample_files.STRING, "yarn"), "scaling.factor": (sample_files.FLOAT32, 4.0)},
     "scaling.original_context_length is missing"),
    ({"scaling.attn_factor": (sample_files.FLOAT32, 1.5)}, "scaling.attn_factor is 1.5, must be absent"),
    ({"dimension_sections": (sample_files.ARRAY, (sample_files.INT32, [1, 1]))}, "dimension_sections"),
]


def gguf_rope(importer: Importer) -> None:
    for changes, wanted in GGUF_ROPE:
        metadata = {**sample_files.tiny_metadata(), **{f"llama.rope.{key}": value for key, value in changes.items()}}
        (importer.place / "rope.gguf").write_bytes(sample_files.tiny_gguf(metadata))
        if isinstance(wanted, str):
            importer.folder.refused(f"GGUF with {changes}", importer.command("gguf", "rope.gguf", "no.h5"), wanted)
            continue
        importer.imported("gguf", "rope.gguf", "rope.h5")
        importer.checks.equal(importer.content("rope.h5").get("rope_divisors"), wanted, f"GGUF with {changes}")
    metadata = {**sample_files.tiny_metadata(), "llama.attention.sliding_window": (sample_files.UINT32, 8)}
    (importer.place / "window.gguf").write_bytes(sample_files.tiny_gguf(metadata))
    importer.folder.refused("GGUF with a window", importer.command("gguf", "window.gguf", "no.h5"), "sliding_window is 8")
    divisors = {**sample_files.tiny_tensors(), "rope_freqs.weight": (3,)}
    (importer.place / "three.gguf").write_bytes(sample_files.tiny_gguf(tensors=divisors))
    importer.folder.refused("three divisors", importer.command("gguf", "three.gguf", "no.h5"), r"rope_freqs.weight.*\(3,\)")


def parts_and_ends(importer: Importer) -> None:
    """Parts of a split model, end tokens by every key, a BOS by the key for it."""
    key, u32 = "tokenizer.ggml.", sample_files.UINT32
    split = {**sample_files.tiny_metadata(), "split.no": (u32, 0), "split.count": (u32, 2)}
    (importer.place / "part.gguf").write_bytes(sample_files.tiny_gguf(split))
    importer.folder.refused("a part of a model", importer.command("gguf", "part.gguf", "no.h5"), "part 1 of a model split into 2",
                            "llama-gguf-split --merge")
    ends = {**sample_files.tiny_metadata(), key + "eot_token_id": (u32, 7), key + "eom_token_id": (u32, 9)}
    (importer.place / "ends.gguf").write_bytes(sample_files.tiny_gguf(ends))
    importer.imported("gguf", "ends.gguf", "ends.h5")
    importer.checks.equal(importer.content("ends.h5")["eos_token_id"],
                          [sample_files.VOCABULARY.index(sample_files.END_TOKEN), 7, 9], "all end tokens of a GGUF file")


def change_json(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **values}))


def before_a_text(importer: Importer) -> None:
    """BOS: as the tokenizer has it, or as tokenizer_config.json says; with --no-bos none."""
    checks, folder = importer.checks, importer.place / "bos"
    shutil.copytree(GOLDEN / "hf_sentencepiece_linear", folder)
    checks.equal(importer.imported("hf", folder, "bos.h5"), "", "an import that has nothing to say")
    whole, bare = importer.run("bos.h5"), importer.run("bos.h5", "--no-bos")
    checks.equal(whole["before_text_tokens"], [1], "the BOS is said")
    checks.equal(bare["before_text_tokens"], [], "--no-bos: none")
    checks.equal(whole["config"]["doc_len"], bare["config"]["doc_len"] + 1, "the BOS is a token of the document")
    checks.that(whole["text_nll"] != bare["text_nll"], "the BOS is read")
    text = run([importer.tool, "--weights", "bos.h5", "--text", "text", "--query", "what", "--max-answer", 1],
               cwd=importer.place)
    checks.that(b"tokens (<s> first) on" in text.out, "the BOS is said in the first line", text.out)
    importer.imported("hf", GOLDEN / "hf_llama_1_1", "plain.h5")
    for options, said in (([], ""), (["--no-bos"], "note: --no-bos: this tokenizer puts no token before a text")):
        found = importer.run("plain.h5", *options)
        checks.that(said in found["said"] and (said or not found["said"]), f"{options} without a BOS", found["said"])
    (importer.place / "text").write_text("<s>" + TEXT)
    checks.that("begins with <s> itself: it stands there twice" in importer.run("bos.h5")["said"], "two BOS are said")
    (importer.place / "text").write_text(TEXT)

    config = folder / "tokenizer_config.json"
    for values, before, said in (({"add_bos_token": False}, [], "add_bos_token is False, and decides"),
                                 ({"add_bos_token": True, "bos_token": {"content": "</s>"}}, [2], "decides"),
                                 ({"add_bos_token": True, "bos_token": "<s>"}, [1], "")):
        config.unlink(missing_ok=True)
        change_json(config, **values)
        notes = importer.imported("hf", folder, "config.h5")
        checks.that(said in notes and bool(said) == bool(notes), f"{values}: what the import says", notes)
        checks.equal(importer.encoded("config.h5", "the")[0]["before"], before, f"{values}: what stands before a text")
    for values, words in (({"add_bos_token": True, "bos_token": "<none>"}, ["bos_token is '<none>'"]),
                          ({"add_eos_token": True}, ["add_eos_token is True"])):
        config.unlink()
        change_json(config, **values)
        importer.folder.refused(f"{values}", importer.command("hf", folder, "no.h5"), "tokenizer_config.json", *words)
    config.unlink()
    change_json(folder / "tokenizer.json", post_processor={
        "type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [], "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}})
    importer.folder.refused("a token after every text", importer.command("hf", folder, "no.h5"), "tokenizer.json",
                            "post_processor makes .*'</s>'", "before a text only")


# Compares ids and, where a space was put or taken, whole letters, with the tokenizers library.
COMPARE_TOKENS = """
import json, sys
from tokenizers import Tokenizer
tokenizer, texts = Tokenizer.from_file(sys.argv[1]), json.loads(sys.argv[2])
for text, ours in zip(texts, json.loads(sys.stdin.read())):
    assert ours["ids"] == tokenizer.encode(text, add_special_tokens=False).ids, text
    data = text.encode()
    assert all(0 <= begin <= end <= len(data) for begin, end in ours["offsets"]), text
    for begin, end in ours["offsets"]:
        data[begin:end].decode() if "letters" in sys.argv else None
    assert not data or max(end for _, end in ours["offsets"]) == len(data), text
"""


def spaces(importer: Importer) -> None:
    """A space that the tokenizer puts before a text, and tokens that take the spaces beside them, of any kind."""
    folder = importer.place / "spaces"
    shutil.copytree(GOLDEN / "hf_llama_1_1", folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    byte_level = next(part for part in tokenizer["pre_tokenizer"]["pretokenizers"] if part["type"] == "ByteLevel")
    texts = ["the thing", " the thing", "", "a\u3000 <mark> \u00a0b", "naïve<mark>", "\u2003<mark>\u2003", "<mark>the <|end|> you"]
    mark = {"id": 263, "content": "<mark>", "single_word": False, "normalized": False, "special": False}
    for prefix in (False, True):
        for strips in ({"lstrip": True, "rstrip": True}, {"lstrip": True, "rstrip": False}, {"lstrip": False, "rstrip": True}):
            byte_level["add_prefix_space"] = prefix
            (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": tokenizer["added_tokens"] + [{**mark, **strips}]}))
            importer.imported("hf", folder, "spaces.h5")
            compared = run([importer.python, "-c", COMPARE_TOKENS, folder / "tokenizer.json", json.dumps(texts)],
                           json.dumps(importer.encoded("spaces.h5", *texts)).encode())
            importer.checks.right(compared, f"prefix space {prefix}, {strips}: the tokens of the tokenizers library")
    importer.checks.that(len(importer.run("spaces.h5").get("nll_per_token", [])) > 40, "apb-run with a prefix space")


def two_models(importer: Importer) -> None:
    def case(name: str, *words: str, index: Optional[dict[str, Any]] = None, adapter: bool = False) -> None:
        folder = importer.place / name
        shutil.copytree(GOLDEN / "hf_llama_1_1", folder)
        if index is not None:
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        if adapter:
            (folder / "adapter_config.json").write_text("{}")
        if words:
            importer.folder.refused(f"a folder with {name}", importer.command("hf", folder, "no.h5"), *words)
        else:
            importer.imported("hf", folder, f"{name}.h5")

    names = json.loads((GOLDEN / "hf_llama_28_4" / "model.safetensors.index.json").read_text())
    case("two", r"model\.safetensors and model\.safetensors\.index\.json", "model-00001-of-00002", "two sets of weights", index=names)
    case("adapter", "adapter_config.json", "merge", adapter=True)
    folder = importer.place / "unigram"
    shutil.copytree(GOLDEN / "hf_llama_1_1", folder)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    importer.folder.refused("SentencePiece's own file", importer.command("hf", folder, "no.h5"), "tokenizer.model", "save_pretrained")


def too_long(importer: Importer) -> None:
    """A text far beyond what the model was trained for is refused before it is cut into tokens."""
    checks = importer.checks
    (importer.place / "tiny.gguf").write_bytes(sample_files.tiny_gguf())
    importer.imported("gguf", "tiny.gguf", "tiny.h5")
    (importer.place / "big").write_bytes(b"the grass is green. " * 1_000_000)
    most = 16 * sample_files.CONTEXT_LEN
    (importer.place / "long").write_text("a" * (most + 1))
    for source, stdin, words in (("big", b"", ["big: more than"]), ("/dev/zero", b"", ["/dev/zero: more than"]),
                                 ("-", b"x" * 100_000, ["standard input: more than"]), ("long", b"", [f"long: {most + 1} tokens"])):
        command = [importer.tool, "--weights", "tiny.h5", "--text", source, "--query", "what"]
        result = run(command, stdin, cwd=importer.place, env={"APB_PYTHON": "/nowhere"} if source != "long" else None)
        checks.refused(result, f"a text of {source}", *words, f"must be at most {most} tokens, 16 times what tiny was trained for")
        checks.that(result.seconds < 20, f"a text of {source}: at once", result.seconds)


def main() -> None:
    bin_folder = arguments("BIN_DIR", 1)[0]
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    with temporary_folder() as name:
        for part in (families, sentencepiece, gguf_rope, parts_and_ends, before_a_text, spaces, two_models, too_long):
            place = Path(name) / part.__name__
            place.mkdir()
            part(Importer(checks, place, python, program(bin_folder, "apb-run")))
    checks.finish()


if __name__ == "__main__":
    main()
