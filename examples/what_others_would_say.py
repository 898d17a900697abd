#!/usr/bin/env python3
"""Wrong kernels judged by ./apb verify, and by the checks that are usual in the field: a table of docs/.

  what_others_would_say.py [--doc-len N]     in the repository's root; needs numpy and h5py

One rank of a paper-size system (the last of 8; anchor N / 32, N / 64 kept of each block) is written by ./apb case.
Each kernel is exact attention in float64 of 64 rows with one mistake, its out rounded to bfloat16.
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np

RANKS, Q_HEADS, KV_HEADS, DIM = 8, 4, 2, 128


def bfloat16(x):
    """Rounded to nearest, ties to even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


class Rank:
    """Rows to judge and keys [anchor, passing, block] of the rank, KV heads first."""

    def __init__(self, case, rows):
        group = case[f"rank_{RANKS - 1}"]
        self.anchor, self.passing = (int(group.attrs[part]) for part in ("anchor_rows", "passing_rows"))
        self.rows = np.unique(np.linspace(self.anchor, group["query"].shape[0] - 1, rows).astype(int))
        self.scale = float(case.attrs["softmax_scale"])
        self.query = group["query"][:][self.rows].transpose(1, 0, 2).astype(np.float64)

        def keys(own, passed):
            own, passed = group[own][:], group[passed][:]
            return np.concatenate([own[:self.anchor], passed, own[self.anchor:]]).transpose(1, 0, 2).astype(np.float64)
        self.key, self.value = keys("key", "passing_key"), keys("value", "passing_value")
        self.number = np.arange(self.key.shape[1])  # of a key; a block row's own key has the largest that it sees
        self.own = self.rows + self.passing
        self.visible = self.number <= self.own[:, None]

    def attend(self, visible=None, key=None, value=None, scale=1.0, kv_head=lambda h: h // (Q_HEADS // KV_HEADS)):
        visible = self.visible if visible is None else visible
        key, value = self.key if key is None else key, self.value if value is None else value
        out, lse = [], []
        for head in range(Q_HEADS):
            scores = self.query[head] @ key[kv_head(head)].T * (self.scale * scale)
            scores[~visible] = -np.inf
            most = scores.max(1, keepdims=True)
            weights = np.exp(scores - most)
            total = weights.sum(1, keepdims=True)
            out.append(weights @ value[kv_head(head)] / total)
            lse.append((most + np.log(total))[:, 0])
        return np.stack(out, 1), np.stack(lse, 1)

    def without(self, begin, end):
        return self.attend(self.visible & ((self.number < begin) | (self.number >= end)))


def kernels(rank):
    """Name and result of every kernel; the first is right."""
    a, p, kept = rank.anchor, rank.passing, rank.passing // (RANKS - 1)
    yield "none: a right kernel", rank.attend()
    yield "last key of the passing block lost", rank.without(a + p - 1, a + p)
    yield "one tile of 64 keys lost", rank.without(a + 128, a + 192)
    yield "one tile of 128 keys lost", rank.without(a + 128, a + 256)
    yield "a rank's slice lost", rank.without(a + kept, a + 2 * kept)
    yield "the whole passing block lost", rank.without(a, a + p)
    yield "the anchor lost", rank.without(0, a)
    yield "causal mask off by one", rank.attend(rank.number <= rank.own[:, None] + 1)
    window = p + a
    yield f"sliding window of {window:,} keys", rank.attend(rank.visible & (rank.number > rank.own[:, None] - window))
    yield "softmax scale times ln 2", rank.attend(scale=np.log(2))
    yield "GQA map: head % KV heads", rank.attend(kv_head=lambda head: head % KV_HEADS)
    yield "values of two KV heads swapped", rank.attend(value=rank.value[::-1])
    order = rank.number.copy()
    order[a:a + p] = order[a:a + p].reshape(RANKS - 1, kept)[::-1].ravel()
    yield "values of the ranks in reverse order", rank.attend(value=rank.value[:, order])
    out, lse = rank.attend()
    yield "rows never written: zeros", (out * 0, lse * 0)


def run(program, *words):
    """Status 1 is a verdict; others end this program."""
    status = subprocess.run([*program, *map(str, words)], stdout=subprocess.DEVNULL).returncode
    if status > 1:
        raise SystemExit(status)


def judge(verify, case, candidate, rank, result):
    with h5py.File(candidate, "w") as file:
        file.attrs.update(schema="apb-candidate", version=1, compute_dtype="bfloat16", out_dtype="bfloat16")
        group = file.create_group(f"rank_{RANKS - 1}")
        group["row_index"], group["out"], group["lse"] = rank.rows, bfloat16(result[0]), result[1].astype(np.float32)
    report = candidate.with_suffix(".json")
    run(verify, case, candidate, "--json", report)
    return json.loads(report.read_text())


def in_words(check):
    """A share's digits are cut off, so that only all is 100 %. A cosine with nothing is none."""
    figure = check["figure"]
    if check["check"].startswith("cosine"):
        text = "none" if isinstance(figure, str) else f"{figure:.4f}"
    else:
        text = f"{np.floor(1e4 * figure) / 100:.2f} %"
    return ("pass " if check["pass"] else "FAIL ") + text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--doc-len", type=int, default=131072)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--bin", type=Path, help="folder of apb-case and apb-verify; default: by ./apb")
    options = parser.parse_args()
    make_case, verify = ([options.bin / f"apb-{name}"] if options.bin else ["./apb", name] for name in ("case", "verify"))
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.h5"
        length = options.doc_len
        run(make_case, case, "--random", "--doc-len", length, "--ranks", RANKS, "--anchor", length // 32,
            "--keep", length // 64, "--q-heads", Q_HEADS, "--kv-heads", KV_HEADS, "--head-dim", DIM,
            "--dtype", "bfloat16", "--only-rank", RANKS - 1)
        with h5py.File(case) as file:
            rank = Rank(file, options.rows)
        print(f"{length:,} tokens, {RANKS} ranks; the last: {len(rank.rows)} rows, up to {len(rank.number):,} keys")
        header = ("mistake", "apb verify", "allclose", "flashinfer-bench", "99 % within", "cosine")
        print("{:<38} {:<11} {:<14} {:<17} {:<14} {}".format(*header))
        for name, result in kernels(rank):
            found = judge(verify, case, Path(folder) / "candidate.h5", rank, result)
            cells = [in_words(check) for check in found["others"][0]["checks"]]
            print("{:<38} {:<11} {:<14} {:<17} {:<14} {}".format(name, "PASS" if found["pass"] else "FAIL", *cells))
            for one in found["diagnoses"]:
                print("    " + (one["explanations"][0]["mistake"] if one["explanations"] else "unknown pattern"))


main()
