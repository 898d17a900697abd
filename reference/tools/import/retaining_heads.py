"""Retaining heads by the authors' tensor names (Locret, APB) as a heads file (see retaining_heads_file.hpp)."""
import hashlib
import re
from pathlib import Path
from typing import Any

from gguf_file import BadInput
from tensor_files import StoredTensor, TensorSource, read_tensors
from weights_file import Plan, checked, workplace, write_weights

NAME = "model.layers.{}.self_attn.{}.weight"
PATTERN = re.compile(r"model\.layers\.([0-9]{1,4})\.self_attn\.(fc1|fc2)\.weight")


def planned_heads(tensors: dict[str, StoredTensor]) -> tuple[dict[str, Any], list[Plan]]:
    """Sizes follow from layer 0: fc2 is [num_kv_heads, hidden]; without fc2 heads are linear, fc1 [num_kv_heads, inputs]."""
    matches = [match for match in map(PATTERN.fullmatch, tensors) if match]
    if not matches:
        raise BadInput(f"holds no tensor {NAME.format(0, 'fc1')}: no retaining heads")
    num_layers = 1 + max(int(match[1]) for match in matches)
    linear = not any(match[2] == "fc2" for match in matches)
    for part in ("fc1",) if linear else ("fc1", "fc2"):
        name = NAME.format(0, part)
        if name not in tensors:
            raise BadInput(f"tensor {name} is missing, must be there as layer {num_layers - 1}'s is")
        if len(shape := tensors[name].values.shape) != 2 or 0 in shape:
            raise BadInput(f"tensor {name} has shape {shape}, must be a matrix")
    rows, inputs = tensors[NAME.format(0, "fc1")].values.shape
    kv_heads = rows if linear else tensors[NAME.format(0, "fc2")].values.shape[0]
    plans = []
    for layer in range(num_layers):
        plans.append(Plan(f"layers/{layer}/fc1", NAME.format(layer, "fc1"), (rows, inputs)))
        if not linear:
            plans.append(Plan(f"layers/{layer}/fc2", NAME.format(layer, "fc2"), (kv_heads, rows)))
    return {"schema": "apb-heads", "version": 1, "num_layers": num_layers, "num_kv_heads": kv_heads,
            "input_size": inputs, "hidden_size": 0 if linear else rows}, plans


def import_heads(source: Path, out: Path) -> None:
    tensors = read_tensors(source)
    attributes, plans = planned_heads(tensors)
    heads = TensorSource({name: tensor for name, tensor in tensors.items() if PATTERN.fullmatch(name)})
    with workplace(out) as folder:
        checked(heads, plans, "llama")
        with source.open("rb") as file:
            attributes["source"] = f"{source.name} sha256={hashlib.file_digest(file, 'sha256').hexdigest()}"
        write_weights(folder / "weights.h5", attributes, plans, heads, {})
