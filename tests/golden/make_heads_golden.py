#!/usr/bin/env python3
"""Retaining heads with seeded weights as torch and safetensors write them, by the authors' tensor names.

  make_heads_golden.py [FOLDER]    writes heads.bin and heads.safetensors (FOLDER: by default heads/ beside this file)

They fit the built-in toy model: 4 layers, 6 query and 2 KV heads of 16 (160 inputs), 20 hidden units; bfloat16.

Needs: pip install torch safetensors
"""
import collections
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

LAYERS, INPUTS, HIDDEN, KV_HEADS = 4, 160, 20, 2

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "heads")
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(7)
    heads = collections.OrderedDict()
    for layer in range(LAYERS):
        at = f"model.layers.{layer}.self_attn."
        for name, shape in (("fc1", (HIDDEN, INPUTS)), ("fc2", (KV_HEADS, HIDDEN))):
            heads[f"{at}{name}.weight"] = torch.randn(shape, generator=generator).to(torch.bfloat16)
    torch.save(heads, folder / "heads.bin")
    save_file(heads, folder / "heads.safetensors")
