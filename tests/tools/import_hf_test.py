#!/usr/bin/env python3
"""`./apb import hf`: what it writes, what uses it, and what it refuses.

  import_hf_test.py BIN_DIR

Hugging Face folders come from tests/golden. Needs a Python ($APB_PYTHON) with what import.py needs.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

from packed_tensors import GOLDEN, packed_safetensors, read_safetensors
from refusals import Folder
from tool_testing import IMPORT_PY, Checks, arguments, program, python_with, run, skip, temporary_folder

HF_NAMES = ("llama_28_4", "llama_1_1", "qwen2_28_4", "qwen2_1_1", "qwen2_yarn", "sentencepiece_linear")

# Reads the same values twice: with h5py, and bit by bit from the safetensors files.
COMPARE_VALUES = """
import json, pathlib, struct, sys
import h5py, numpy as np
sys.path.insert(0, sys.argv[1])
from hf_folder import NAMES
weights, count = h5py.File(sys.argv[2]), 0
for path in pathlib.Path(sys.argv[3]).glob("*.safetensors"):
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    for name, entry in json.loads(content[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = content[start + begin:start + end]
        if entry["dtype"] == "BF16":
            values = np.frombuffer(b"".join(b"\\0\\0" + raw[i:i + 2] for i in range(0, len(raw), 2)), "<f4")
        else:
            values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]])
        ours = {NAMES.embedding: "embedding", NAMES.final_norm: "final_norm", NAMES.head: "head"}.get(name)
        if ours is None:
            _, _, layer, part = name.split(".", 3)
            part, kind = part.rsplit(".", 1)
            key = {theirs: key for key, theirs in NAMES.parts.items()}[part]
            ours = f"layers/{layer}/{key}" + ("_bias" if kind == "bias" else "")
        stored = weights[ours][...]
        assert stored.dtype == values.dtype and stored.shape == tuple(entry["shape"]), ours
        assert stored.tobytes() == values.tobytes(), ours
        count += 1
print(count)
"""


def hf_imports(checks: Checks, place: Path, python: str, tool: Path) -> None:
    tools = str(IMPORT_PY.parent)
    for name, num_tensors in zip(HF_NAMES, (21, 20, 27, 26, 27, 21)):
        out, source = place / f"{name}.h5", GOLDEN / f"hf_{name}"
        if not checks.right(run([python, "-B", IMPORT_PY, "hf", source, out]), f"import of {name}"):
            continue
        compared = run([python, "-B", "-c", COMPARE_VALUES, tools, out, source])
        checks.right(compared, f"values of {name}")
        checks.equal(compared.out.decode().strip(), str(num_tensors), f"{name}: tensors whose bits were compared")
        result = run([tool, "--weights", out, "--text", source / "config.json", "--query", "the thing?", "--json",
                      "--ranks", "3", "--max-answer", "3"], cwd=place)
        if checks.right(result, f"apb-run with {name}"):
            checks.that(len(result.json()["answer_tokens"]) <= 3, f"apb-run with {name}: an answer", result.out)
    checks.equal(sorted(path.name for path in place.iterdir()), sorted(f"{name}.h5" for name in HF_NAMES),
                 "what imports leave")


def several_ends(checks: Checks, place: Path, python: str, tool: Path) -> None:
    """Each of a list of end tokens ends the answer, as Llama-3.1-Instruct has three."""
    folder, out = place / "folder", place / "ends.h5"
    shutil.copytree(GOLDEN / "hf_llama_28_4", folder)

    def answer() -> list[int]:
        checks.right(run([python, "-B", IMPORT_PY, "hf", folder, out]), "import with end tokens")
        result = run([tool, "--weights", out, "--text", GOLDEN / "hf_llama_28_4" / "config.json", "--query", "the thing?", "--json",
                      "--ranks", "2", "--max-answer", "6"])
        checks.right(result, "apb-run with end tokens")
        return result.json()["answer_tokens"]

    whole = answer()
    checks.equal(len(whole), 6, "an answer that nothing ends")
    change_json(folder / "config.json", lambda config: config.update(eos_token_id=[262, whole[3]]))
    checks.equal(answer(), whole[:whole.index(whole[3])], "the second end token ends the answer")

    def embedded(query: str, *words: str) -> list[int]:
        """Rows of the question: in every anchor, and in all."""
        result = run([tool, "--weights", out, "--text", GOLDEN / "hf_llama_28_4" / "config.json", "--query", query, "--json",
                      "--ranks", "2", "--max-answer", "0", *words])
        checks.right(result, f"apb-run with {words}")
        return [result.json()["config"][name] for name in ("embedded_query_len", "query_len")]

    (turn, _), (_, both) = embedded("the thing?"), embedded("the thing?<|end|>the answer:")
    checks.equal(embedded("the thing?<|end|>the answer:"), [both, both], "the whole question is embedded")
    checks.equal(embedded("the thing?<|end|>the answer:", "--embed-first-turn"), [turn, both], "its first turn is embedded")
    checks.equal(embedded("the thing?", "--embed-first-turn"), [turn, turn], "a question without an end token")


def old_style_config(config: dict[str, Any]) -> None:
    """As transformers 4 wrote it, and Llama-3.1 is published."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    config["rope_scaling"] = rope


def same_model(checks: Checks, place: Path, python: str) -> None:
    """Folders that say the same in other words give the same file."""
    def without_index(folder: Path) -> None:
        header, data = {}, b""
        for shard in sorted(folder.glob("model-*.safetensors")):
            part, more = read_safetensors(shard)
            for name, entry in part.items():
                if name != "__metadata__":
                    header[name] = {**entry, "data_offsets": [at + len(data) for at in entry["data_offsets"]]}
            data += more
            shard.unlink()
        (folder / "model.safetensors.index.json").unlink()
        (folder / "model.safetensors").write_bytes(packed_safetensors(header, data))

    def with_old_config(folder: Path) -> None:
        change_json(folder / "config.json", old_style_config)

    def with_both_sections(folder: Path) -> None:  # as some tools write it for both versions of transformers
        change_json(folder / "config.json", lambda config: config.update(
            rope_theta=config["rope_parameters"]["rope_theta"], rope_scaling={
                "type" if key == "rope_type" else key: value for key, value in config["rope_parameters"].items()
                if key != "rope_theta"}))

    def with_inverse_frequencies(folder: Path) -> None:  # as old Llama checkpoints have them
        add_tensor(folder, "model.layers.0.self_attn.rotary_emb.inv_freq", "F32", [4], bytes(16))

    dump = ("import h5py, sys; f = h5py.File(sys.argv[1]); "
            "f.visititems(lambda n, d: print(n, d.dtype, hash(d[...].tobytes()))"
            " if isinstance(d, h5py.Dataset) else None); print({k: v for k, v in f.attrs.items() if k != 'source'})")

    def content(path: Path) -> str:
        result = run([python, "-c", dump, path], env={"PYTHONHASHSEED": "0"})
        checks.right(result, f"reading {path.name}")
        return result.out.decode()

    plain = place / "plain.h5"
    folder = place / "folder"
    shutil.copytree(GOLDEN / "hf_llama_28_4", folder)
    checks.right(run([python, "-B", IMPORT_PY, "hf", folder, plain]), "import of a copy")
    for change in (without_index, with_old_config, with_both_sections, with_inverse_frequencies):
        shutil.rmtree(folder)
        shutil.copytree(GOLDEN / "hf_llama_28_4", folder)
        change(folder)
        out = place / f"{change.__name__}.h5"
        if checks.right(run([python, "-B", IMPORT_PY, "hf", folder, out]), f"import {change.__name__}"):
            checks.that(content(out) == content(plain), f"import {change.__name__}: must give the same")


def change_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def add_tensor(folder: Path, name: str, dtype: str, shape: list[int], values: bytes) -> None:
    """To the first shard, and to the index."""
    shard = sorted(folder.glob("*.safetensors"))[0]
    header, data = read_safetensors(shard)
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
    shard.write_bytes(packed_safetensors(header, data + values))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        change_json(index, lambda content: content["weight_map"].update({name: shard.name}))


def remove_tensor(folder: Path, name: str) -> None:
    """From its shard and from the index; the others move together."""
    for shard in folder.glob("*.safetensors"):
        header, data = read_safetensors(shard)
        if name not in header:
            continue
        begin, end = header.pop(name)["data_offsets"]
        for other, entry in header.items():
            if other != "__metadata__" and entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [at - (end - begin) for at in entry["data_offsets"]]
        shard.write_bytes(packed_safetensors(header, data[:begin] + data[end:]))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        change_json(index, lambda content: content["weight_map"].pop(name))


def rope(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda config: config["rope_parameters"].update(changes)


# (folder, changes of config.json, or a function that changes it, what the refusal must say)
CONFIGS: list[tuple[str, Any, list[str]]] = [
    ("llama_28_4", {"model_type": "mistral"}, ["model_type is 'mistral'", "'llama' or 'qwen2'"]),
    ("llama_28_4", {"model_type": None}, ["model_type is None", "'llama'"]),
    ("llama_28_4", {"hidden_act": "gelu"}, ["hidden_act is 'gelu'", "'silu'"]),
    ("llama_28_4", {"attention_bias": True}, ["attention_bias is True", "False"]),
    ("qwen2_28_4", {"attention_bias": False}, ["attention_bias is False", "True"]),
    ("llama_28_4", {"mlp_bias": True}, ["mlp_bias is True"]),
    ("llama_28_4", {"sliding_window": 4096}, ["sliding_window is 4096", "absent"]),
    ("qwen2_28_4", {"use_sliding_window": True}, ["use_sliding_window is True", "False"]),
    ("qwen2_28_4", {"layer_types": ["full_attention", "sliding_attention"]}, ["layer_types", "full_attention"]),
    ("llama_28_4", {"quantization_config": {"bits": 4}}, ["quantization_config", "absent"]),
    ("llama_28_4", {"partial_rotary_factor": 0.5}, ["partial_rotary_factor is 0.5"]),
    ("llama_28_4", rope(partial_rotary_factor=0.5), ["rope_parameters.partial_rotary_factor is 0.5"]),
    ("llama_28_4", rope(rope_type="yarn"), [r"rope_parameters\.(low|high)_freq_factor is", "absent with rope_type yarn"]),
    ("llama_28_4", rope(rope_type="linear"), ["_factor is", "absent with rope_type linear"]),
    ("llama_28_4", rope(rope_type="default"), ["factor is", "absent with rope_type default"]),
    ("llama_28_4", rope(type="linear"), ["rope_parameters.type is 'linear'", "'llama3', as rope_type"]),
    ("llama_28_4", rope(mrope_section=[1, 1]), ["rope_parameters.mrope_section", "absent with rope_type llama3"]),
    ("llama_28_4", {"rope_scaling": {"type": "linear", "factor": 4.0}}, ["rope_scaling is", "the same as rope_parameters"]),
    ("llama_28_4", {"rope_theta": 5e5}, ["rope_parameters.rope_theta is 10000.0", "500000.0, as beside rope_parameters"]),
    ("llama_28_4", {"original_max_position_embeddings": 4096}, ["original_max_position_embeddings is 1024", "4096"]),
    ("llama_28_4", {"rope_interleaved": True}, ["rope_interleaved is True", "absent"]),
    ("llama_28_4", {"rotary_emb_base": 5e5}, ["rotary_emb_base is 500000.0", "absent"]),
    ("llama_28_4", {"auto_map": {"AutoModel": "own.Model"}}, ["auto_map", "absent"]),
    ("qwen2_yarn", rope(original_max_position_embeddings=None), ["original_max_position_embeddings is None"]),
    ("qwen2_yarn", rope(mscale=1.0), ["rope_parameters.mscale is 1.0", "absent with rope_type yarn"]),
    ("sentencepiece_linear", rope(factor=None), ["rope_parameters.factor is None"]),
    ("llama_28_4", rope(rope_type="dynamic"), ["rope_parameters.rope_type is 'dynamic'", "'default' or 'linear' or 'llama3' or 'yarn'"]),
    ("llama_28_4", rope(rope_type="longrope"), ["rope_parameters.rope_type is 'longrope'"]),
    ("llama_28_4", rope(factor=None), ["rope_parameters.factor is None"]),
    ("llama_28_4", rope(factor=0), ["rope_parameters.factor is 0"]),
    ("llama_28_4", rope(high_freq_factor=1.0),
     ["rope_parameters.high_freq_factor is 1.0", "more than low_freq_factor"]),
    ("llama_28_4", rope(original_max_position_embeddings="long"), ["original_max_position_embeddings is 'long'"]),
    ("llama_28_4", rope(rope_theta=-1.0), ["rope_theta is -1.0", "positive"]),
    ("llama_28_4", {"rope_parameters": None, "rope_scaling": {"factor": 2.0}}, ["rope_scaling.rope_type is absent"]),
    ("llama_28_4", {"rope_parameters": 5}, ["rope_parameters is 5"]),
    ("llama_28_4", {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
     ["rope_parameters.rope_type is absent"]),
    ("llama_28_4", {"hidden_size": "big"}, ["hidden_size is 'big'", "type int"]),
    ("llama_28_4", {"hidden_size": 32}, ["embed_tokens.weight has shape", "32"]),
    ("llama_28_4", {"num_hidden_layers": 0}, ["num_hidden_layers is 0"]),
    ("llama_28_4", {"num_hidden_layers": 3}, [r"model\.layers\.2\.input_layernorm\.weight is missing"]),
    ("llama_28_4", {"num_hidden_layers": 1}, [r"model\.layers\.1\..* has no place"]),
    ("llama_28_4", {"num_key_value_heads": 3}, ["num_key_value_heads is 3", "divisor.*28"]),
    ("llama_28_4", {"num_key_value_heads": 7}, ["k_proj.weight has shape"]),
    ("llama_28_4", {"head_dim": 7}, ["head_dim is 7", "even"]),
    ("llama_28_4", {"vocab_size": 100, "eos_token_id": 1}, ["tokenizer.json", "vocab_size .100."]),
    ("llama_28_4", {"vocab_size": 300, "eos_token_id": 300}, ["eos_token_id is 300", "0 to 299"]),
    ("llama_28_4", {"eos_token_id": "end"}, ["eos_token_id is 'end'"]),
    ("llama_28_4", {"eos_token_id": [262, 266]}, ["eos_token_id is .262, 266", "0 to 265"]),
    ("llama_28_4", {"tie_word_embeddings": 1}, ["tie_word_embeddings is 1", "bool"]),
    ("llama_28_4", {"tie_word_embeddings": True}, ["lm_head.weight differs from model.embed_tokens.weight"]),
    ("llama_1_1", {"tie_word_embeddings": False}, ["lm_head.weight is missing"]),
    ("llama_28_4", {"rms_norm_eps": -1e-5}, ["rms_norm_eps is -1e-05", "positive"]),
    ("qwen2_28_4", {"model_type": "llama"}, [r"proj\.bias' has no place in a plain llama"]),
    ("llama_28_4", {"model_type": "qwen2", "attention_bias": None}, [r"q_proj\.bias is missing"]),
]


def config_refusals(folder: Folder, python: str) -> None:
    for name, changes, wanted in CONFIGS:
        source = folder.path / "model"
        shutil.copytree(GOLDEN / f"hf_{name}", source)
        change_json(source / "config.json",
                    changes if callable(changes) else lambda config: config.update(changes))  # noqa: B023
        folder.refused(f"import of {name} where {wanted[0]}", [python, "-B", IMPORT_PY, "hf", "model", "out.h5"],
                       *wanted)
        shutil.rmtree(source)


def write(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def edit(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return lambda folder: change_json(folder / name, change)


def edit_header(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def apply(folder: Path) -> None:
        header, data = read_safetensors(folder / name)
        change(header)
        (folder / name).write_bytes(packed_safetensors(header, data))
    return apply


def remove(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> Callable[[Path], Any]:
    """To `size` bytes; a negative size leaves out that many."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def set_not_finite(folder: Path) -> None:
    """A NaN in the embedding, which is looked at first."""
    shard = folder / "model.safetensors"
    header, data = read_safetensors(shard)
    at = header["model.embed_tokens.weight"]["data_offsets"][0]
    shard.write_bytes(packed_safetensors(header, data[:at] + b"\x00\x00\xc0\x7f" + data[at + 4:]))


CONFIG, INDEX, TOKENIZER = "config.json", "model.safetensors.index.json", "tokenizer.json"
FIRST, SECOND, SINGLE = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors"
NORM = "model.norm.weight"

# (folder, what is done to it, what the refusal must say)
FOLDERS: list[tuple[str, Callable[[Path], Any], list[str]]] = [
    ("llama_1_1", remove(CONFIG), [CONFIG, "no such file"]),
    ("llama_1_1", write(CONFIG, b"{"), [CONFIG, "not JSON"]),
    ("llama_1_1", write(CONFIG, b"[" * 100000), [CONFIG, "not JSON"]),
    ("llama_1_1", write(CONFIG, b"[1]"), [CONFIG, "JSON object"]),
    ("llama_1_1", write(CONFIG, b"\xff"), [CONFIG, "not JSON"]),
    ("llama_1_1", remove(TOKENIZER), [TOKENIZER, "no such file"]),
    ("llama_1_1", write(TOKENIZER, b"{}"), [TOKENIZER, "model is absent"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t["model"].update(type="Unigram")), ["model.type is 'Unigram'", "'BPE'"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t["model"].update(byte_fallback=True)), ["decoder is", "ByteFallback"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t.update(decoder=None)), ["decoder is None", "ByteLevel"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t.update(pre_tokenizer={"type": "Metaspace"})),
     ["pre_tokenizer", "ByteLevel"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t["model"].update(merges=[["no", "such"]])),
     [TOKENIZER, "tokenizers cannot read"]),
    ("llama_1_1", edit(TOKENIZER, lambda t: t["model"]["vocab"].update({"zz": 9999})), ["id 9999", "vocab_size"]),
    ("llama_1_1", remove(SINGLE), [SINGLE, INDEX]),
    ("llama_1_1", cut(SINGLE, 0), [SINGLE, "truncated"]),
    ("llama_1_1", cut(SINGLE, 7), [SINGLE, "truncated"]),
    ("llama_1_1", cut(SINGLE, 100), [SINGLE, "truncated"]),
    ("llama_1_1", cut(SINGLE, 30000), [SINGLE, "truncated"]),
    ("llama_1_1", cut(SINGLE, -1), [SINGLE, "truncated"]),
    ("llama_1_1", write(SINGLE, b"\xff" * 5000), [SINGLE, "header must have"]),
    ("llama_1_1", write(SINGLE, packed_safetensors(b"[]", b"")), [SINGLE, "JSON object"]),
    ("llama_1_1", write(SINGLE, packed_safetensors(b"{", b"")), [SINGLE, "not JSON"]),
    ("llama_1_1", write(SINGLE, packed_safetensors(b'{"a": 1, "a": 1}', b"")), [SINGLE, "repeated"]),
    ("llama_1_1", write(SINGLE, packed_safetensors({"a": 1}, b"")), ["'a' is 1", "data_offsets"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(dtype="I64")), ["dtype 'I64'", "BF16"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(dtype=["F32"])), ["dtype", "BF16"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(shape=[27])), [NORM, "data_offsets"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(shape=[28, 2**60])), [NORM, "shape"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(shape=[-28])), [NORM, "shape"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(shape=[1, 28])), [NORM, r"shape \(1, 28\)", r"\(28,\)"]),
    ("llama_1_1", edit_header(SINGLE, lambda h: h[NORM].update(data_offsets=[0, 112])), ["data_offsets"]),
    ("llama_1_1", lambda folder: remove_tensor(folder, NORM), [f"{NORM} is missing"]),
    ("llama_1_1", lambda folder: add_tensor(folder, "model.extra.weight", "F32", [1], bytes(4)),
     ["model.extra.weight.*no place"]),
    ("llama_1_1", set_not_finite, ["not finite"]),
    ("llama_28_4", remove(SECOND), [SECOND, "no such file"]),
    ("llama_28_4", cut(FIRST, 40000), [FIRST, "truncated"]),
    ("llama_28_4", cut(SECOND, 40000), [SECOND, "truncated"]),
    ("llama_28_4", write(INDEX, b"{}"), [INDEX, "weight_map is absent"]),
    ("llama_28_4", edit(INDEX, lambda i: i.update(weight_map={})), [INDEX, "weight_map"]),
    ("llama_28_4", edit(INDEX, lambda i: i["weight_map"].update({NORM: "../model.safetensors"})),
     [INDEX, r"\.\./model"]),
    ("llama_28_4", edit(INDEX, lambda i: i["weight_map"].update({NORM: 7})), [INDEX, NORM, "is 7"]),
    ("llama_28_4", edit(INDEX, lambda i: i["weight_map"].update({"lm_head.weight": FIRST})),
     ["lm_head.weight|tensor", "must be in"]),
    ("llama_28_4", edit(INDEX, lambda i: i["weight_map"].update({"more.weight": SECOND})), ["more.weight", "missing"]),
    ("llama_28_4", edit(INDEX, lambda i: i["weight_map"].pop(NORM)), [NORM, "no file"]),
    ("qwen2_28_4", lambda folder: remove_tensor(folder, "model.layers.1.self_attn.v_proj.bias"),
     ["v_proj.bias is missing"]),
    ("qwen2_28_4", lambda folder: add_tensor(folder, "model.layers.1.self_attn.o_proj.bias", "F16", [28], bytes(56)),
     ["o_proj.bias.*no place"]),
]


def folder_refusals(folder: Folder, python: str) -> None:
    for number, (name, spoil, wanted) in enumerate(FOLDERS):
        source = folder.path / "model"
        shutil.copytree(GOLDEN / f"hf_{name}", source)
        spoil(source)
        folder.refused(f"import of spoiled folder {number}: {wanted}",
                       [python, "-B", IMPORT_PY, "hf", "model", "out.h5"], *wanted)
        shutil.rmtree(source)
    shutil.copytree(GOLDEN / "hf_llama_1_1", folder.path / "model")
    (folder.path / "out.h5").mkdir()
    for words, wanted in ((["nowhere", "new.h5"], ["nowhere", "no such folder"]),
                          (["model/config.json", "new.h5"], ["config.json", "not a folder"]),
                          (["model", "out.h5"], ["out.h5", "file"]),
                          (["model", "nowhere/new.h5"], ["nowhere/new.h5"]), (["model"], ["OUT"])):
        folder.refused(" ".join(["import hf", *words]), [python, "-B", IMPORT_PY, "hf", *words], *wanted)


def main() -> None:
    bin_folder = arguments("BIN_DIR", 1)[0]
    python = python_with("h5py", "numpy", "gguf", "tokenizers")
    if python is None:
        skip("$APB_PYTHON with h5py, numpy, gguf, tokenizers is missing")
    checks = Checks()
    with temporary_folder() as name:
        root = Path(name)
        for part in ("right", "same", "ends"):
            (root / part).mkdir()
        hf_imports(checks, root / "right", python, program(bin_folder, "apb-run"))
        same_model(checks, root / "same", python)
        several_ends(checks, root / "ends", python, program(bin_folder, "apb-run"))
        config_refusals(Folder(checks, root / "configs"), python)
        folder_refusals(Folder(checks, root / "folders"), python)
    checks.finish()


if __name__ == "__main__":
    main()
