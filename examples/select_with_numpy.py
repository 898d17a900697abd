#!/usr/bin/env python3
"""What a case's compressor query_aware keeps, by numpy alone: importance and kept_positions, added to a candidate.

  select_with_numpy.py CASE CANDIDATE     then: ./apb verify CASE CANDIDATE
"""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as case:
    if case.attrs["compressor"] not in ("query_aware", b"query_aware"):
        sys.exit(f"{sys.argv[1]}: its compressor is another one than query_aware")

with h5py.File(sys.argv[1]) as case, h5py.File(sys.argv[2], "a") as candidate:
    for what in ("compute_dtype", "out_dtype"):
        candidate.attrs.setdefault(what, "float32")
    for name, rank in ((f"rank_{r}", case[f"rank_{r}"]) for r in case.attrs["ranks"]):
        anchor_rows = rank.attrs["anchor_rows"]
        key, own = rank["key"][anchor_rows:], rank["doc_pos"][anchor_rows:]
        query = rank["score_query"][:].mean(0)  # over the embedded query rows, and over the query heads of a group
        query = query.reshape(key.shape[1], -1, key.shape[2]).mean(1)
        score = np.einsum("rhd,hd->rh", key, query)  # after RoPE, not scaled; one number per block row and KV head
        beyond = np.full((case.attrs["pool_kernel"] // 2, key.shape[1]), -np.inf, score.dtype)
        padded = np.concatenate([beyond, score, beyond])
        importance = np.max([padded[i:i + len(score)] for i in range(2 * len(beyond) + 1)], axis=0)
        in_anchor = own < case.attrs["anchor_len"]  # rank 0's first tokens, which every other rank holds
        importance[in_anchor] = -np.inf
        num_kept = case.attrs["num_kept"]  # or as many as there are
        first = np.count_nonzero(in_anchor)  # a NaN comes last, but before what is no candidate
        best = first + np.argsort(-importance[first:], axis=0, kind="stable")[:num_kept]  # ties: the earlier token
        for what, values in (("importance", importance), ("kept_positions", np.sort(own[best], axis=0).T)):
            candidate.pop(f"{name}/{what}", None)  # of an earlier run
            candidate[f"{name}/{what}"] = values
