#!/usr/bin/env python3
"""Looks into case files with h5py and numpy alone, and breaks them. Run with $APB_PYTHON.

  case_files.py judge CASE           prints {"faults": […], "checked": n}: names, shapes, types, precision, selection,
                                     passing blocks and truth, all written down here once more from docs
  case_files.py rewrite CASE OUT     the same contents, chunked and gzipped, strings of variable length
  case_files.py broken CASE FOLDER   a broken copy for every entry of breaks(), and a JSON object {file name: words}
"""
from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import h5py
import numpy as np
from sample_files import (attribute, dangling_link, dataset, entry, group_instead, without, without_attribute,
                          write_broken)

INTEGERS = ("version", "num_ranks", "doc_len", "query_len", "embedded_query_len", "anchor_len", "num_kept",
            "num_q_heads", "num_kv_heads", "head_dim", "pool_kernel", "seed")
STRINGS = ("schema", "method", "anchor_convention", "compressor", "value_dtype")
LISTS = ("ranks", "block_lens")
ROOT_ATTRIBUTES = (*INTEGERS, *STRINGS, *LISTS, "softmax_scale")


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def representable(values: np.ndarray, precision: str) -> bool:
    """Whether every number is one of the format."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if precision == "float64":
        return True
    if precision == "float16":
        return bool((values.astype(np.float16).astype(np.float64) == values).all())
    narrow = values.astype(np.float32)
    exact = bool((narrow.astype(np.float64) == values).all())
    # bfloat16 is the upper half of a float32.
    return exact and (precision == "float32" or bool(((narrow.view(np.uint32) & 0xFFFF) == 0).all()))


def attend(query: np.ndarray, segments: list[tuple[np.ndarray, np.ndarray, int]],
           scale: float) -> tuple[np.ndarray, np.ndarray]:
    """One query row [heads, d] over the first `seen` rows of every segment (key, value, seen), in double."""
    group = query.shape[0] // segments[0][0].shape[1]
    out, lse = np.zeros_like(query), np.full(query.shape[0], -np.inf)
    for head in range(query.shape[0]):
        key = np.concatenate([key[:seen, head // group] for key, _, seen in segments])
        value = np.concatenate([value[:seen, head // group] for _, value, seen in segments])
        if len(key) == 0:
            continue
        score = key @ query[head] * scale
        top = score.max()
        weight = np.exp(score - top)
        lse[head] = top + math.log(weight.sum())
        out[head] = weight @ value / weight.sum()
    return out, lse


class Judge:
    def __init__(self, file: h5py.File) -> None:
        self.file, self.faults, self.checked = file, [], 0
        self.number = {name: int(file.attrs[name]) for name in INTEGERS}
        self.precision = text(file.attrs["value_dtype"])
        self.scale = float(file.attrs["softmax_scale"])
        self.lens = [int(length) for length in file.attrs["block_lens"]]
        self.begins = [sum(self.lens[:rank]) for rank in range(len(self.lens))]
        self.ranks = [int(rank) for rank in file.attrs["ranks"]]
        self.selects = text(file.attrs["compressor"]) != "none" and len(self.lens) > 1

    def that(self, condition: bool, what: str) -> None:
        self.checked += 1
        if not condition:
            self.faults.append(what)

    def candidates(self, rank: int) -> tuple[int, int]:
        return (self.number["anchor_len"] if rank == 0 else self.begins[rank]), self.begins[rank] + self.lens[rank]

    def kept(self, rank: int) -> int:
        begin, end = self.candidates(rank)
        return min(self.number["num_kept"], end - begin) if self.selects else 0

    def anchor_rows(self, rank: int) -> int:
        if rank == 0:
            return 0
        paper = text(self.file.attrs["anchor_convention"]) == "paper"
        return self.number["anchor_len"] + (self.number["embedded_query_len"] if paper else 0)

    def array(self, name: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
        """kind: "int", "input" (of the case's precision) or "truth" (float64)."""
        found = self.file[name]
        stored = {"int": "int64", "truth": "float64", "input": "float64" if self.precision == "float64" else "float32"}
        self.that(found.shape == shape, f"{name}: shape {found.shape}, not {shape}")
        self.that(found.dtype == stored[kind], f"{name}: type {found.dtype}, not {stored[kind]}")
        values = found[...]
        if kind == "input":
            self.that(representable(values, self.precision), f"{name}: does not fit {self.precision}")
        return values if kind == "int" else values.astype(np.float64)

    def rows(self, rank: int) -> tuple[list[int], list[int]]:
        """doc_pos and position of every row (convention paper)."""
        query = self.number["embedded_query_len"] if rank > 0 else 0
        anchor = self.anchor_rows(rank)
        block = list(range(self.begins[rank], self.begins[rank] + self.lens[rank]))
        return [-1] * query + list(range(anchor - query)) + block, list(range(anchor)) + block

    def selection(self, rank: int, importance: np.ndarray, kept: np.ndarray) -> None:
        begin, end = self.candidates(rank)
        first = begin - self.begins[rank]
        self.that(bool((importance[:first] == -np.inf).all()), f"rank {rank}: importance of what is no candidate")
        for head in range(importance.shape[1]):
            def order(doc_pos: int) -> tuple[bool, float, int]:
                value = importance[doc_pos - self.begins[rank], head]
                return (bool(np.isnan(value)), 0.0 if np.isnan(value) else -value, doc_pos)
            expected = sorted(sorted(range(begin, end), key=order)[:self.kept(rank)])
            self.that(kept[head].tolist() == expected, f"rank {rank}, head {head}: kept {kept[head]}, not {expected}")

    def scores(self, rank: int, query: np.ndarray, key: np.ndarray) -> Optional[np.ndarray]:
        """What the block scores before pooling, by what stands in the file; None if that does not suffice."""
        group, compressor = self.file[f"rank_{rank}"], text(self.file.attrs["compressor"])
        kv_heads, block_key = key.shape[1], key[self.anchor_rows(rank):]
        if compressor == "query_aware":
            rows = self.array(f"rank_{rank}/score_query", (self.number["embedded_query_len"], *query.shape[1:]), "input")
            mean = rows.mean(0).reshape(kv_heads, -1, rows.shape[-1]).mean(1)
            return np.einsum("jhd,hd->jh", block_key, mean)
        if compressor == "retaining_head":
            width = (query.shape[1] + 2 * kv_heads) * query.shape[2]
            features = self.array(f"rank_{rank}/retaining_input", (self.lens[rank], width), "input")
            fc1 = self.array(f"rank_{rank}/retaining_fc1", (group["retaining_fc1"].shape[0], width), "input")
            hidden = features @ fc1.T
            if "retaining_fc2" not in group:
                return hidden
            fc2 = self.array(f"rank_{rank}/retaining_fc2", (kv_heads, fc1.shape[0]), "input")
            return hidden / (1 + np.exp(-hidden)) @ fc2.T
        if compressor == "recent":
            return np.repeat(np.arange(self.begins[rank], self.begins[rank] + self.lens[rank])[:, None], kv_heads, 1) * 1.0
        return None  # random: its hash is a matter of the reference

    def importance(self, rank: int, scores: np.ndarray, found: np.ndarray) -> None:
        """Pooled, and rounded to the case's precision or one step beside it."""
        reach, tolerance = self.number["pool_kernel"] // 2, {"float64": 1e-12, "float32": 1e-6, "bfloat16": 2**-8,
                                                             "float16": 2**-10}[self.precision]
        begin, end = (edge - self.begins[rank] for edge in self.candidates(rank))
        for row in range(begin, end):
            window = scores[max(0, row - reach):row + reach + 1]
            best = np.nanmax(window, 0) if not np.isnan(window).all() else window[0]
            if self.precision == "float16":
                best = np.where(np.abs(best) >= 65520, np.copysign(np.inf, best), best)  # beyond its largest number
            usual = np.isfinite(window).all(0) & np.isfinite(best)
            self.that(bool((found[row] == best)[np.isinf(best)].all()), f"rank {rank}: importance of row {row}: overflow")
            close = np.abs(found[row] - best) <= tolerance * np.maximum(1, np.abs(best))
            self.that(bool((close | ~usual).all()), f"rank {rank}: importance of row {row}: {found[row]}, not {best}")

    def rank(self, rank: int) -> None:
        at, d = f"rank_{rank}/", self.number["head_dim"]
        q_heads, kv_heads = self.number["num_q_heads"], self.number["num_kv_heads"]
        anchor, block = self.anchor_rows(rank), self.lens[rank]
        passing = sum(self.kept(lower) for lower in range(rank))
        rows = anchor + block
        group = self.file[at]
        for name, value in (("anchor_rows", anchor), ("passing_rows", passing), ("block_rows", block)):
            self.that(int(group.attrs[name]) == value, f"{at}{name}: {group.attrs[name]}, not {value}")
        doc_pos, position = self.rows(rank)
        if text(self.file.attrs["anchor_convention"]) == "paper":
            self.that(self.array(at + "doc_pos", (rows,), "int").tolist() == doc_pos, f"{at}doc_pos")
        self.that(self.array(at + "position", (rows,), "int").tolist() == position, f"{at}position")
        query = self.array(at + "query", (rows, q_heads, d), "input")
        key = self.array(at + "key", (rows, kv_heads, d), "input")
        value = self.array(at + "value", (rows, kv_heads, d), "input")
        passing_key = self.array(at + "passing_key", (passing, kv_heads, d), "input")
        passing_value = self.array(at + "passing_value", (passing, kv_heads, d), "input")
        passing_doc_pos = self.array(at + "passing_doc_pos", (kv_heads, passing), "int")
        kept = self.array(at + "kept_positions", (kv_heads, self.kept(rank)), "int")
        if self.selects:
            importance = self.array(at + "importance", (block, kv_heads), "input")
            self.selection(rank, importance, kept)
            scores = self.scores(rank, query, key)
            if scores is not None:
                self.importance(rank, scores, importance)
        if all(lower in self.ranks for lower in range(rank)):
            self.passing(rank, passing_key, passing_value, passing_doc_pos)
        if at + "out" in self.file:
            out = self.array(at + "out", (rows, q_heads, d), "truth")
            lse = self.array(at + "lse", (rows, q_heads), "truth")
            for row in range(rows):
                segments = [(key[:anchor], value[:anchor], row + 1 if row < anchor else anchor)]
                if row >= anchor:
                    segments += [(passing_key, passing_value, passing),
                                 (key[anchor:], value[anchor:], row - anchor + 1)]
                self.same(f"{at}row {row}", attend(query[row], segments, self.scale), (out[row], lse[row]))

    def passing(self, rank: int, key: np.ndarray, value: np.ndarray, doc_pos: np.ndarray) -> None:
        entry_at = 0
        for lower in range(rank):
            kept = self.file[f"rank_{lower}/kept_positions"][...]
            for j in range(self.kept(lower)):
                for head in range(kept.shape[0]):
                    row = self.anchor_rows(lower) + int(kept[head, j]) - self.begins[lower]
                    same = int(doc_pos[head, entry_at]) == int(kept[head, j])
                    for mine, name in ((key, "key"), (value, "value")):
                        source = self.file[f"rank_{lower}/{name}"][row, head].astype(np.float64)
                        same = same and np.array_equal(mine[entry_at, head], source, equal_nan=True)
                    self.that(same, f"rank {rank}: passing entry {entry_at} of head {head}")
                entry_at += 1

    def same(self, what: str, expected: tuple[np.ndarray, ...], found: tuple[np.ndarray, ...]) -> None:
        for a, b in zip(expected, found):
            close = np.isclose(a, b, rtol=1e-11, atol=1e-12, equal_nan=True)
            self.that(bool(close.all()), f"{what}: {b[~close][:3]}, not {a[~close][:3]}")

    def decode(self) -> None:
        rows, d = self.number["query_len"], self.number["head_dim"]
        q_heads, kv_heads = self.number["num_q_heads"], self.number["num_kv_heads"]
        query = self.array("decode/query", (rows, q_heads, d), "input")
        caches = []
        for rank, block in enumerate(self.lens):
            at = f"decode/rank_{rank}/"
            own = int(self.file[at].attrs["query_keys"])
            self.that(own == (rows if rank == len(self.lens) - 1 else 0), f"{at}query_keys: {own}")
            key = self.array(at + "key", (block + own, kv_heads, d), "input")
            value = self.array(at + "value", (block + own, kv_heads, d), "input")
            caches.append((key, value, block, own))
            out = self.array(at + "out", (rows, q_heads, d), "truth")
            lse = self.array(at + "lse", (rows, q_heads), "truth")
            if rank in self.ranks:
                source = self.file[f"rank_{rank}/key"][self.anchor_rows(rank):].astype(np.float64)
                self.that(np.array_equal(key[:block], source, equal_nan=True), f"{at}key: is not the block's")
            for row in range(rows):
                seen = block + (row + 1 if own else 0)
                self.same(f"{at}row {row}", attend(query[row], [(key, value, seen)], self.scale), (out[row], lse[row]))
        merged = self.array("decode/out", (rows, q_heads, d), "truth")
        merged_lse = self.array("decode/lse", (rows, q_heads), "truth")
        for row in range(rows):
            segments = [(key, value, block + (row + 1 if own else 0)) for key, value, block, own in caches]
            self.same(f"decode row {row}", attend(query[row], segments, self.scale), (merged[row], merged_lse[row]))

    def all(self) -> None:
        for name in ROOT_ATTRIBUTES:
            self.that(name in self.file.attrs, f"attribute {name} is missing")
        self.that(text(self.file.attrs["schema"]) == "apb-case" and self.number["version"] == 1, "schema, version")
        groups = {name for name in self.file if name.startswith("rank_")}
        self.that(groups == {f"rank_{rank}" for rank in self.ranks}, f"groups {groups}, ranks {self.ranks}")
        for rank in self.ranks:
            self.rank(rank)
        if "decode" in self.file:
            self.decode()


def judge(path: Path) -> None:
    with np.errstate(invalid="ignore"), h5py.File(path, "r") as file:
        verdict = Judge(file)
        verdict.all()
    print(json.dumps({"faults": verdict.faults[:20], "checked": verdict.checked}))


def rewrite(source: Path, target: Path) -> None:
    with h5py.File(source, "r") as old, h5py.File(target, "w") as new:
        def attributes(item: Any, copy: Any) -> None:
            for name, value in item.attrs.items():
                copy.attrs[name] = text(value) if isinstance(value, (bytes, str)) else value

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                attributes(item, new.require_group(name))
            else:
                packed = {"chunks": True, "compression": "gzip", "shuffle": True} if item.size > 0 else {}
                new.create_dataset(name, data=item[...], **packed)
        attributes(old, new)
        old.visititems(visit)
        new.create_group("model").attrs["name"] = "readers ignore what they do not know"


# ---- broken copies ---------------------------------------------------------------------------------------------------

def claimed(name: str, shape: tuple[int, ...], stored: bool) -> Callable[[Any], None]:
    """A dataset that claims a size; one chunk of it is stored, or nothing."""
    def change(file: Any) -> None:
        del file[name]
        chunks = (1024,) + (1,) * (len(shape) - 1)
        huge = file.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip")
        if stored:
            huge[(slice(0, 1),) * len(shape)] = 1.0
    return change


def soft_link(name: str, to: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = h5py.SoftLink(to)
    return change


def link_cycle(file: Any) -> None:
    del file["rank_0"]
    file["rank_0"] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/rank_0")


def external_link(name: str) -> Callable[[Any], None]:
    """The data lies in the unbroken file beside this one."""
    def change(file: Any) -> None:
        del file[name]
        file[name] = h5py.ExternalLink("whole.h5", "/" + name)
    return change


def raw_data_elsewhere(file: Any) -> None:
    shape = file["rank_0/query"].shape
    del file["rank_0/query"]
    file.create_dataset("rank_0/query", shape, "f4", external=[("whole.h5", 0, h5py.h5f.UNLIMITED)])


def virtual(file: Any) -> None:
    shape = file["rank_0/query"].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("whole.h5", "rank_0/query", shape)
    del file["rank_0/query"]
    file.create_virtual_dataset("rank_0/query", layout)


def strings(name: str) -> Callable[[Any], None]:
    return dataset(name, lambda values: np.full(values.shape, b"x", "S4"))


def many(name: str, value: Any, rank_attribute: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[name].attrs[rank_attribute] = value
    return change


def breaks() -> dict[str, tuple[list[str], Callable[[Any], None]]]:
    table: dict[str, tuple[list[str], Callable[[Any], None]]] = {}
    for name in ROOT_ATTRIBUTES:
        table["no_" + name] = ([f"attribute {name} is missing"], without_attribute(name))
    for name in ("doc_pos", "position", "query", "key", "value", "importance", "kept_positions"):
        table["no_" + name] = ([f"dataset /rank_1/{name} is missing"], without(f"rank_1/{name}"))
        table["group_" + name] = ([f"/rank_1/{name}"], group_instead(f"rank_1/{name}"))
        table["dangling_" + name] = ([f"/rank_1/{name}"], dangling_link(f"rank_1/{name}"))
    for name, value, *words in (
            ("schema", "apb-trace", "schema = apb-trace", "apb-case"), ("version", 2, "version = 2", "must be 1"),
            ("version", -1, "version = -1"), ("method", "ring", "method = ring", "full, star, apb"),
            ("value_dtype", "float8", "value_dtype = float8", "bfloat16"), ("num_ranks", 0, "num_ranks = 0"),
            ("num_ranks", 2**40, "num_ranks = 1099511627776"), ("num_ranks", 5, "block_lens", "5"),
            ("doc_len", 2**62, "doc_len = 4611686018427387904", "between 0 and"), ("doc_len", -1, "doc_len = -1"),
            ("head_dim", 2**50, "head_dim"), ("num_q_heads", 3, "num_q_heads = 3", "multiple"),
            ("softmax_scale", 0.0, "softmax_scale = 0", "positive"), ("softmax_scale", math.nan, "softmax_scale = nan"),
            ("softmax_scale", "one", "softmax_scale", "one number"), ("doc_len", "many", "doc_len", "one integer"),
            ("doc_len", 1.5, "doc_len", "one integer"), ("doc_len", [1, 2], "doc_len", "one integer"),
            ("compressor", "magic", "compressor = magic", "recent"), ("anchor_convention", "x", "anchor_convention = x"),
            ("method", 7, "method", "one string"), ("ranks", [1, 0], r"ranks = \[1, 0\]", "ascending"),
            ("ranks", [0, 0], r"ranks = \[0, 0\]"), ("ranks", [0, 9], "between 0 and 2"), ("ranks", [0.5], "integers"),
            ("ranks", "0", "integers"), ("block_lens", [1, 2], "block_lens"), ("block_lens", [-1, 2, 2], "block_lens"),
            ("anchor_len", 2**29, "anchor_len"), ("num_kept", 1, "rank_0/"), ("pool_kernel", 2, "odd"),
            ("seed", -1, "seed = -1"), ("query_insert_at", 1, "query_insert_at"), ("embedded_query_len", 1, "rank_0/score_query")):
        table[f"{name}_{len(table)}"] = (list(words), attribute(name, value))
    table["rank_missing"] = (["group /rank_1 is missing"], without("rank_1"))
    table["rank_rows"] = (["/rank_1/block_rows = 3"], many("rank_1", 3, "block_rows"))
    table["doc_pos"] = ([r"/rank_1/doc_pos\[2\] = 99"], entry("rank_1/doc_pos", 2, 99))
    table["position"] = ([r"/rank_1/position\[0\] = 5"], entry("rank_1/position", 0, 5))
    table["precision"] = ([r"/rank_1/value\[0, 0, 0\] = 0.1", "bfloat16"],
                          dataset("rank_1/value", lambda values: np.full_like(values, 0.1)))
    table["short"] = ([r"/rank_0/key = shape", "must be shape"], dataset("rank_0/key", lambda values: values[1:]))
    table["flat"] = ([r"/rank_0/key = shape"], dataset("rank_0/key", lambda values: values.reshape(-1)))
    table["strings"] = (["/rank_0/key", "numbers"], strings("rank_0/key"))
    table["fractions"] = (["/rank_0/kept_positions", "integers"],
                          dataset("rank_0/kept_positions", lambda values: values.astype("f8")))
    table["kept_twice"] = ([r"/rank_0/kept_positions\[0\]", "ascending"],
                           dataset("rank_0/kept_positions", lambda values: values * 0 + values[0, 0]))
    table["kept_foreign"] = ([r"/rank_1/kept_positions\[0\]", "candidates"],
                             dataset("rank_1/kept_positions", lambda values: values * 0))
    table["passing_other"] = ([r"/rank_1/passing_key\[0, 0, 0\]", "lower ranks"],
                              dataset("rank_1/passing_key", lambda values: values * 0 + 7))
    table["passing_part"] = (["dataset /rank_1/passing_value is missing"], without("rank_1/passing_value"))
    table["out_short"] = (["/rank_1/out"], dataset("rank_1/out", lambda values: values[:-1]))
    table["decode_no_query"] = (["/decode/query is missing"], without("decode/query"))
    table["decode_no_rank"] = (["/decode/rank_1/key is missing"], without("decode/rank_1"))
    table["decode_keys"] = (["/decode/rank_2/query_keys = 9"], many("decode/rank_2", 9, "query_keys"))
    table["huge_unstored"] = (["rank_0/query"], claimed("rank_0/query", (2**60, 4, 8), False))
    table["huge_stored"] = (["rank_0/query"], claimed("rank_0/query", (2**50, 4, 8), True))
    table["huge_cache"] = (["decode/rank_0/key"], claimed("decode/rank_0/key", (2**33, 2, 8), True))
    table["huge_sparse"] = (["decode/rank_0/key"], claimed("decode/rank_0/key", (2**22, 2, 8), True))
    table["link_to_itself"] = (["group /rank_0 is missing|rank_0"], soft_link("rank_0", "/rank_0"))
    table["link_cycle"] = (["rank_0"], link_cycle)
    table["link_outside"] = (["/rank_0/query lies in", "external link"], external_link("rank_0/query"))
    table["group_outside"] = (["rank_0"], external_link("rank_0"))
    table["data_outside"] = (["rank_0/query"], raw_data_elsewhere)
    table["data_virtual"] = (["rank_0/query"], virtual)
    return table


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "judge":
        judge(Path(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "rewrite":
        rewrite(Path(sys.argv[2]), Path(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[1] == "broken":
        case, folder = map(Path, sys.argv[2:])
        shutil.copyfile(case, folder / "whole.h5")
        write_broken(case, folder, breaks())
    else:
        sys.exit(__doc__)
