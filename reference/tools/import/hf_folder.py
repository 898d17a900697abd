"""A Hugging Face folder of the Llama or Qwen2 family as a weights file: config.json, safetensors, tokenizer.json."""
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from gguf_file import BadInput, show, show_name
from hf_tokenizer import tokenizer_datasets
from json_settings import Settings, read_json_object
from rope_scaling import config_rope
from tensor_files import StoredTensor, TensorSource, read_safetensors
from weights_file import Names, Plan, checked, planned, workplace, write_weights

NAMES = Names(embedding="model.embed_tokens.weight", final_norm="model.norm.weight", head="lm_head.weight",
              layer="model.layers.{}.",
              parts={"attention_norm": "input_layernorm", "query": "self_attn.q_proj", "key": "self_attn.k_proj",
                     "value": "self_attn.v_proj", "output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
                     "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"})
INDEX, SINGLE, ADAPTER = "model.safetensors.index.json", "model.safetensors", "adapter_config.json"


def refuse_unsupported(config: Settings, family: str) -> None:
    """What would change the computation. Keys that are not named here do not."""
    config.require("hidden_act", None, "silu")
    config.require("mlp_bias", None, False)
    if family == "llama":
        config.require("attention_bias", None, False)
        config.require("sliding_window", None)
    else:  # Qwen2 has biases of query, key and value whatever it says; its window is used only if asked for
        config.require("attention_bias", None, True)
        config.require("use_sliding_window", None, False)
    for kind in config.get("layer_types", list, []):
        if kind != "full_attention":
            raise config.refuse("layer_types", "'full_attention' in every layer")
    config.require("quantization_config", None)
    config.require("auto_map", None)  # code of its own


def token_ids(config: Settings, key: str, vocab_size: int) -> int | list[int]:
    """An id or a list of ids, as the file has it; -1: none."""
    value = config.values.get(key)
    if value is None or value == []:
        return -1
    for one in value if isinstance(value, list) else [value]:
        if type(one) is not int or not 0 <= one < vocab_size:
            raise config.refuse(key, f"0 to {vocab_size - 1}, a list of such, or absent")
    return value


def end_tokens(config: Settings, vocab_size: int) -> int | list[int]:
    """Those of generation_config.json, which transformers' generate() follows; without any there, config.json's."""
    path = config.where.with_name("generation_config.json")
    if path.exists():
        generation = token_ids(Settings(read_json_object(path), path), "eos_token_id", vocab_size)
        if generation != -1:
            return generation
    return token_ids(config, "eos_token_id", vocab_size)


def model_attributes(config: Settings, name: str) -> dict[str, Any]:
    family = config.require("model_type", "llama", "qwen2")
    refuse_unsupported(config, family)
    hidden, num_q_heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    num_kv_heads = config.integer("num_key_value_heads", num_q_heads)
    if num_q_heads % num_kv_heads:
        raise config.refuse("num_key_value_heads", f"a divisor of num_attention_heads ({num_q_heads})")
    head_dim = config.integer("head_dim", max(1, hidden // num_q_heads))
    if head_dim % 2:
        raise config.refuse("head_dim", f"even, is {head_dim}")
    vocab_size = config.integer("vocab_size")
    return {"schema": "apb-weights", "version": 1, "architecture": family, "name": name,
            "num_layers": config.integer("num_hidden_layers"), "hidden_size": hidden,
            "intermediate_size": config.integer("intermediate_size"), "num_q_heads": num_q_heads,
            "num_kv_heads": num_kv_heads, "head_dim": head_dim, "vocab_size": vocab_size,
            "context_len": config.integer("max_position_embeddings"),
            "tied_embeddings": int(config.get("tie_word_embeddings", bool, False)),
            "bos_token_id": token_ids(config, "bos_token_id", vocab_size),
            "eos_token_id": end_tokens(config, vocab_size), "rms_norm_eps": config.real("rms_norm_eps", 1e-6)}


def refuse_other_weights(folder: Path) -> None:
    """Two sets of weights, of which a reader could take either, or an adapter, which changes them."""
    if (folder / ADAPTER).exists():
        raise BadInput(f"holds {ADAPTER}: an adapter changes the weights; merge it into them first", str(folder))
    if (folder / INDEX).exists() and (folder / SINGLE).exists():
        named = shard_names(folder).values()
        if {*named} != {SINGLE}:
            raise BadInput(f"holds {SINGLE} and {INDEX}, which names {sorted(named)[0]}: two sets of weights, must be "
                           "one", str(folder))


def shard_names(folder: Path) -> dict[str, str]:
    """Tensor to the file that the index puts it in; empty without an index."""
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            raise BadInput(f"holds neither {SINGLE} nor {INDEX} (weights in .bin files are not read)")
        return {}
    index = Settings(read_json_object(folder / INDEX), folder / INDEX)
    places = index.get("weight_map", dict)
    for tensor, shard in places.items():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise BadInput(f"weight_map.{show_name(tensor)} is {show(shard)}, must be the name of a file beside it",
                           str(folder / INDEX))
    if not places:
        raise index.refuse("weight_map", "at least one tensor")
    return places


def read_shards(folder: Path) -> tuple[dict[str, StoredTensor], list[Path]]:
    """All tensors, and the files that hold them."""
    places = shard_names(folder)
    shards = [folder / name for name in sorted(set(places.values()) or {SINGLE})]
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        if not shard.is_file():
            raise BadInput("no such file" if not shard.exists() else "is not a file", str(shard))
        for name, tensor in read_safetensors(shard).items():
            if places and places.get(name) != shard.name:
                raise BadInput(f"tensor {show_name(name)} is in this file, must be in {show(places.get(name, 'no file'))} "
                               f"({INDEX})", str(shard))
            tensors[name] = tensor
    for name in places:
        if name not in tensors:
            raise BadInput(f"tensor {show_name(name)} is missing, must be in this file ({INDEX})", str(folder / places[name]))
    return tensors, shards


def without_copies(tensors: dict[str, StoredTensor], tied: bool) -> dict[str, StoredTensor]:
    """Leaves out what transformers computes itself, and the head of a model that uses the embedding as its head."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".rotary_emb.inv_freq")}
    head, embedding = kept.get(NAMES.head), kept.get(NAMES.embedding)
    if tied and head is not None and embedding is not None:
        if head.kind != embedding.kind or not np.array_equal(head.values, embedding.values):
            raise BadInput(f"tensor {NAMES.head} differs from {NAMES.embedding}, must be absent or equal with "
                           "tie_word_embeddings")
        del kept[NAMES.head]
    return kept


def sha256_of(files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def planned_model(model: dict[str, Any], tensors: dict[str, StoredTensor]) -> list[Plan]:
    """Qwen2 has all three biases; a bias in a llama model finds no place and is refused."""
    biases = {f"{NAMES.layer.format(layer)}{NAMES.parts[name]}.bias" for layer in range(model["num_layers"])
              for name in ("query", "key", "value")} if model["architecture"] == "qwen2" else set()
    plans = list(planned(model, NAMES, biases, adjacent_pairs=False))
    return checked(TensorSource(tensors), plans, model["architecture"])


def import_hf(source: Path, out: Path) -> None:
    if not source.is_dir():
        raise BadInput("no such folder" if not source.exists() else "is not a folder")
    name = source.resolve().name
    config = Settings(read_json_object(source / "config.json"), source / "config.json")
    model = model_attributes(config, name)
    rope = config_rope(config, model["head_dim"])
    tokenizer = tokenizer_datasets(source, model["vocab_size"])
    refuse_other_weights(source)
    all_tensors, shards = read_shards(source)
    tensors = without_copies(all_tensors, bool(model["tied_embeddings"]))
    plans = planned_model(model, tensors)
    with workplace(out) as folder:
        model["source"] = f"{name} sha256={sha256_of(shards)}"
        write_weights(folder / "weights.h5", {**model, **rope.attributes}, plans, TensorSource(tensors),
                      {**{f"tokenizer/{key}": values for key, values in tokenizer.items()}, **rope.datasets()})
