#!/usr/bin/env python3
"""Attention of a case file by torch's stock SDPA (numpy where torch is absent), written as a candidate.

  verify_with_torch.py CASE CANDIDATE     then: ./apb verify CASE CANDIDATE
"""
import sys

import h5py
import numpy as np


def attend(query, key, value, visible, scale):
    """query [rows, heads, d], key and value [keys, KV heads, d], visible [rows, keys]."""
    group = query.shape[1] // key.shape[1]  # query head h reads KV head h // group
    q, k, v = (x.transpose(1, 0, 2) for x in (query, key.repeat(group, 1), value.repeat(group, 1)))
    try:
        import torch
        q, k, v, mask = (torch.from_numpy(np.ascontiguousarray(x)) for x in (q, k, v, visible))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).numpy()
    except ImportError:
        scores = np.where(visible, q @ k.transpose(0, 2, 1) * np.float32(scale), -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out = weights @ v / weights.sum(-1, keepdims=True)
    return out.transpose(1, 0, 2)


with h5py.File(sys.argv[1]) as case, h5py.File(sys.argv[2], "w") as candidate:
    candidate.attrs.update(schema="apb-candidate", version=1, compute_dtype="float32", out_dtype="float32")
    for name, rank in ((f"rank_{r}", case[f"rank_{r}"]) for r in case.attrs["ranks"]):
        a, p, b = (int(rank.attrs[part]) for part in ("anchor_rows", "passing_rows", "block_rows"))
        query, own_key, own_value = (rank[x][:].astype(np.float32) for x in ("query", "key", "value"))
        nothing = own_key[:0]  # passing blocks are in the file where the rank receives something
        passing = [rank[x][:].astype(np.float32) if p else nothing for x in ("passing_key", "passing_value")]
        key, value = (np.concatenate([own[:a], more, own[a:]]) for own, more in zip((own_key, own_value), passing))
        visible = np.ones((a + b, a + p + b), bool)  # keys are [anchor, passing, block]
        visible[:a], visible[a:, a + p:] = np.tri(a, a + p + b), np.tri(b)
        candidate[f"{name}/out"] = attend(query, key, value, visible, float(case.attrs["softmax_scale"]))
