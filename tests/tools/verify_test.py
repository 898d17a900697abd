#!/usr/bin/env python3
"""apb verify as a user runs it: candidates that pass, fail or are broken.

  verify_test.py BIN_DIR

The cases are written here, by h5py and from docs/case-files.md alone. Needs numpy and h5py ($APB_PYTHON).
"""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Optional

from tool_testing import ROOT, Checks, arguments, program, python_with, run, skip, temporary_folder

python = python_with("h5py", "numpy")
if python is None:
    skip("no Python with h5py and numpy")
if Path(sys.executable).resolve() != Path(python).resolve() or sys.prefix == sys.base_prefix:
    if "APB_VERIFY_TEST_RESTARTED" not in os.environ:
        os.environ["APB_VERIFY_TEST_RESTARTED"] = "1"
        os.execv(python, [python, *sys.argv])

import h5py  # noqa: E402
import numpy as np  # noqa: E402

EXAMPLE = ROOT / "examples" / "verify_with_torch.py"
# Of apb case --adversarial; the first is none.
KINDS = ["", "huge-logits", "tiny-logits", "ties", "signed-zeros", "nan-outside", "off-tile", "empty-segments"]
BLOCKS, ANCHOR, KEPT, HEADS, KV_HEADS, DIM = [40, 33, 21], 9, 7, 6, 2, 16


def write_case(path: Path, dtype: str = "float32") -> None:
    """Three ranks of APB with compressor `recent`: the last tokens of every block are kept."""
    random = np.random.default_rng(1)

    def values(rows: int, heads: int) -> Any:
        return np.round(random.uniform(-2, 2, (rows, heads, DIM)) * 64).astype(np.float32) / 64  # exact in 16 bits

    with h5py.File(path, "w") as file:
        file.attrs.update(
            schema="apb-case", version=1, method="apb", num_ranks=3, ranks=np.arange(3), doc_len=sum(BLOCKS),
            block_lens=np.array(BLOCKS), query_len=0, embedded_query_len=0, anchor_len=ANCHOR,
            anchor_convention="paper", num_kept=KEPT, num_q_heads=HEADS, num_kv_heads=KV_HEADS, head_dim=DIM,
            softmax_scale=DIM**-0.5, compressor="recent", pool_kernel=1, seed=0, value_dtype=dtype)
        begin, passing = 0, []
        for rank, block in enumerate(BLOCKS):
            anchor = ANCHOR if rank else 0
            group = file.create_group(f"rank_{rank}")
            group.attrs.update(anchor_rows=anchor, passing_rows=rank * KEPT, block_rows=block)
            own = np.arange(begin, begin + block)
            group["doc_pos"] = group["position"] = np.concatenate([np.arange(anchor), own])
            group["query"], group["key"] = values(anchor + block, HEADS), values(anchor + block, KV_HEADS)
            group["value"] = values(anchor + block, KV_HEADS)
            if passing:
                for name, part in zip(("passing_key", "passing_value"), zip(*passing)):
                    group[name] = np.concatenate(part)
                lower = np.concatenate([np.arange(end - KEPT, end) for end in np.cumsum(BLOCKS)[:rank]])
                group["passing_doc_pos"] = np.tile(lower, (KV_HEADS, 1))
            importance = np.repeat(own[:, None].astype(np.float32), KV_HEADS, 1)
            if rank == 0:
                importance[:ANCHOR] = -np.inf
            group["importance"] = importance
            group["kept_positions"] = np.tile(own[-KEPT:], (KV_HEADS, 1))
            passing.append((group["key"][-KEPT:], group["value"][-KEPT:]))
            begin += block


class Bench:
    """Runs apb-verify in a folder with a case and a right candidate."""

    def __init__(self, checks: Checks, tool: Path, folder: Path) -> None:
        self.checks, self.tool, self.folder = checks, tool, folder
        self.case, self.right = folder / "case.h5", folder / "right.h5"
        write_case(self.case)
        checks.right(run([python, EXAMPLE, self.case, self.right]), "the Python example")

    def verify(self, *words: Any, env: Optional[dict[str, Optional[str]]] = None, **options: Any) -> Any:
        return run([self.tool, *words], cwd=self.folder, env=env, **options)

    def changed(self, name: str, change: Callable[[Any], None]) -> Path:
        path = self.folder / name
        path.write_bytes(self.right.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return path


def check_pass(bench: Bench) -> None:
    checks = bench.checks
    result = bench.verify(bench.case, bench.right)
    checks.right(result, "the example's candidate")
    text = result.out.decode()
    checks.that("PASS without lse: 0 of 3 checks failed; 3 of 3 ranks judged. Not seen" in text, "three ranks pass", text)
    checks.that("not judged: lse: not given (rank 0, 1, 2)" in text, "what is absent is listed", text)
    checks.right(bench.verify(bench.case, bench.right, "--require", "out"), "a required quantity that is there")
    result = bench.verify(bench.case, bench.right, "--require", "lse,out")
    checks.equal(result.status, 1, "a required quantity that is absent", result)
    checks.that("required, but not given" in result.out.decode(), "it says that it is required", result.out)
    result = bench.verify(bench.case, bench.right, "--rows", "1", "--seed", "3")
    checks.right(result, "a sample of rows")

    def forget(file: Any) -> None:
        del file["rank_0"], file["rank_2"]
    report = bench.folder / "some-ranks.json"
    result = bench.verify(bench.case, bench.changed("some-ranks.h5", forget), "--json", report)
    checks.right(result, "a candidate of one rank")
    text = result.out.decode()
    checks.that("PASS without lse: 0 of 1 checks failed; 1 of 3 ranks judged (1). Not seen: a wrong lse" in text,
                "the verdict counts the ranks, and says what it does not see", text)
    checks.that("not judged: out: not given (rank 0, 2)" in text, "the other ranks are listed", text)
    checks.equal(json.loads(report.read_text()).get("judged"), {"ranks": [1], "ranks_of_case": 3, "rows": ANCHOR + 33,
                                                            "rows_of_ranks": ANCHOR + 33, "decode": False}, "the JSON counts too")


def check_diagnosis(bench: Bench) -> None:
    """A kernel that forgets the tail of the passing block, and one whose kept positions are off by one."""
    checks = bench.checks
    forgetful = bench.folder / "forgetful.py"
    text = EXAMPLE.read_text().replace(
        "        visible[:a], ", "        visible[a:, a + max(p - 3, 0):a + p] = False\n        visible[:a], ")
    forgetful.write_text(text)
    wrong = bench.folder / "forgetful.h5"
    checks.right(run([python, forgetful, bench.case, wrong]), "the forgetful kernel runs")
    report = bench.folder / "report.json"
    result = bench.verify(bench.case, wrong, "--json", report)
    checks.equal(result.status, 1, "a kernel that forgets keys", result)
    words = "block rows miss keys of the passing block: the last 3 of 14 keys"
    checks.that(words in result.out.decode(), f"the diagnosis says: {words}", result.out.decode())
    found = json.loads(report.read_text())
    checks.equal(found["pass"], False, "the JSON's verdict")
    checks.equal([one["rank"] for one in found["diagnoses"]], [1, 2], "the JSON's diagnoses")
    checks.that(words in found["diagnoses"][1]["explanations"][0]["mistake"], "the JSON's explanation", found)
    worst = [v for v in found["verdicts"] if v["rank"] == 2 and v["quantity"] == "out worst row"][0]
    checks.that(worst["error"] > worst["budget"] and worst["worst"]["row"] >= ANCHOR, "the worst place", worst)

    def shift(file: Any) -> None:
        for rank in range(3):
            with h5py.File(bench.case) as case:
                file[f"rank_{rank}/kept_positions"] = case[f"rank_{rank}/kept_positions"][:] - 1
    result = bench.verify(bench.case, bench.changed("shifted.h5", shift))
    checks.equal(result.status, 1, "kept positions off by one", result)
    checks.that("kept positions off by one: each is one too low" in result.out.decode(), "it is named", result.out)

    def turn(file: Any) -> None:
        for rank in range(3):
            with h5py.File(bench.case) as case:
                file[f"rank_{rank}/kept_positions"] = case[f"rank_{rank}/kept_positions"][:][:, ::-1]
    result = bench.verify(bench.case, bench.changed("turned.h5", turn))
    checks.equal(result.status, 1, "kept positions that descend", result)
    checks.that("the right positions, but they do not ascend" in result.out.decode(), "it is named", result.out)

    def spoil(file: Any) -> None:
        file["rank_1/out"][20, 3, 5] = np.nan
    result = bench.verify(bench.case, bench.changed("nan.h5", spoil), "--json", report)
    checks.equal(result.status, 1, "one NaN", result)
    text = result.out.decode()
    checks.that("row 20 head 3 element 5" in text, "the NaN's place", text)
    checks.that("out wrong in rows 20 (1 of 42 judged" in text and "\n  one bad element: NaN at row 20 head 3" in text,
                "it is called one bad element", text)
    checks.that('"error": "nan"' in report.read_text(), "NaN in JSON is text", report.read_text()[:400])


def check_others(bench: Bench) -> None:
    """What the field's usual checks say of the same out: after a FAIL, on request, and in the JSON."""
    checks, report = bench.checks, bench.folder / "others.json"
    title = "What others would have said of the same out"
    text = bench.verify(bench.case, bench.right).out.decode()
    checks.that(title not in text, "a PASS does not say it unasked", text)
    result = bench.verify(bench.case, bench.right, "--others", "--json", report)
    checks.right(result, "a PASS with --others")
    lines = result.out.decode().splitlines()
    at = next((i for i, line in enumerate(lines) if line.startswith(title)), len(lines) - 5)
    checks.equal(lines[at + 2:at + 5], [f"{rank}     out                 pass 100.00 %        pass 100.00 %        "
                                        "pass 100.00 %        pass 1.0000" for rank in range(3)], "all say pass", lines[at:])

    def spoil(file: Any) -> None:  # six of 42 * 6 * 16 elements: less than one in a hundred
        file["rank_1/out"][20, 3, :6] += 1
    result = bench.verify(bench.case, bench.changed("six.h5", spoil), "--json", report)
    checks.equal(result.status, 1, "six wrong elements", result)
    text = result.out.decode()
    checks.that(title in text and text.splitlines()[-1].startswith("FAIL: "), "a FAIL says it, its last line is its own", text)
    row = [line for line in text[text.find(title):].splitlines() if line.startswith("1 ")]
    checks.that(bool(row) and row[0].split()[2:] == ["FAIL", "99.85", "%", "FAIL", "99.85", "%", "pass", "99.85", "%",
                                                     "pass", row[0].split()[-1]], "two checks fail, two pass", row)
    others = json.loads(report.read_text())["others"]
    checks.equal([one["pass"] for one in others[1]["checks"]], [False, False, True, True], "so does the JSON", others[1])
    checks.equal([one["check"] for one in others[1]["checks"]],
                 ["allclose(1e-2, 1e-2)", "flashinfer-bench", "99 % within 1e-2", "cosine >= 0.99"], "its names")


def check_hidden_nan(bench: Bench, tool: Path) -> None:
    """A kernel that masks its scores, and multiplies the values that it masked with 0: right, until one is NaN."""
    case, candidate = bench.folder / "hidden.h5", bench.folder / "hidden-candidate.h5"
    bench.checks.right(run([tool, case, "--adversarial", "nan-outside"]), "a case with NaN in every block's last row")
    bench.checks.right(run([python, EXAMPLE, case, candidate]), "stock attention of it")
    result = bench.verify(case, candidate)
    bench.checks.equal(result.status, 1, "stock attention of hidden NaN", result)
    text = result.out.decode()
    bench.checks.equal(text.count("NaN from what is not visible: weight 0 times NaN"), 4, "it is named", text)
    bench.checks.that("causal mask" not in text, "no mask is blamed", text)


def check_declared(bench: Bench) -> None:
    """What a candidate says of its numbers is printed, and checked where it can be."""
    def declare(file: Any) -> None:
        file.attrs.update(p_dtype="bfloat16", exp_accuracy=9e-5)
    result = bench.verify(bench.case, bench.changed("declared.h5", declare))
    bench.checks.right(result, "a candidate that declares")
    bench.checks.that("; declared: P in bfloat16, exp within 9e-05" in result.out.decode(), "it is printed", result.out)

    def pretend(file: Any) -> None:
        file.attrs["out_dtype"] = "bfloat16"
    result = bench.verify(bench.case, bench.changed("pretended.h5", pretend))
    bench.checks.equal(result.status, 1, "float32 numbers called bfloat16", result)
    bench.checks.that("numbers are no bfloat16, which out_dtype says" in result.out.decode(), "it is named", result.out)

    def round_inputs(file: Any) -> None:
        file.attrs["compute_dtype"] = "bfloat16"
        for rank in range(3):
            file[f"rank_{rank}/out"][0] += 1
    result = bench.verify(bench.case, bench.changed("coarse.h5", round_inputs))
    bench.checks.equal(result.status, 1, "a bfloat16 kernel on a float32 case", result)
    bench.checks.that("./apb case --dtype bfloat16 makes the one that fits" in result.out.decode(), "it is told",
                      result.out.decode())
    result = bench.verify(bench.case, bench.right, "--require", "decode")
    bench.checks.equal(result.status, 1, "a query pass is required that the case lacks", result)


def check_sampled_rows(bench: Bench) -> None:
    rows = [0, 8, 9, 41]

    def keep_some(file: Any) -> None:
        some = file["rank_1/out"][:][rows]
        for rank in range(3):
            del file[f"rank_{rank}"]
        file["rank_1/out"], file["rank_1/row_index"] = some, np.array(rows)
    path = bench.changed("some.h5", keep_some)
    result = bench.verify(bench.case, path)
    bench.checks.right(result, "a candidate of four rows")
    bench.checks.that("; 1 of 3 ranks judged (1), 4 of 42 rows. Not seen" in result.out.decode(),
                      "the verdict counts the rows", result.out.decode())
    result = bench.verify(bench.case, path, "--require", "out")
    bench.checks.equal(result.status, 1, "four rows where all are required", result)
    bench.checks.that("required, but only 4 of 42 rows given" in result.out.decode(), "it is said", result.out.decode())
    with h5py.File(path, "r+") as file:
        file["rank_1/out"][2] += 1  # row 9
    result = bench.verify(bench.case, path)
    bench.checks.equal(result.status, 1, "a wrong row of four", result)
    bench.checks.that("rows 9 (1 of 4 judged" in result.out.decode(), "it is named", result.out.decode())


def check_whole_cases(bench: Bench, tool: Path) -> None:
    """Cases of `apb case`, adversarial ones too, with what the file itself says is right as the candidate."""
    for kind in KINDS:
        case, candidate = bench.folder / "whole.h5", bench.folder / "whole-candidate.h5"
        words = ["--adversarial", kind] if kind else ["--dtype", "bfloat16", "--compressor", "query_aware"]
        result = run([tool, case, "--with-expected", "--decode", *words])
        if not bench.checks.right(result, f"apb case {kind}"):
            continue
        with h5py.File(case) as source, h5py.File(candidate, "w") as target:
            # Importance is rounded to the case's precision, whatever the candidate computes in.
            target.attrs.update(schema="apb-candidate", version=1, compute_dtype="float32", out_dtype="float32")
            groups = [f"rank_{rank}" for rank in source.attrs["ranks"]]
            for group in [*groups, "decode", *(f"decode/{one}" for one in groups)]:
                for name in ("out", "lse", "importance", "kept_positions"):
                    if f"{group}/{name}" in source:
                        target[f"{group}/{name}"] = source[f"{group}/{name}"][:]
        result = bench.verify(case, candidate, "--require", "out,lse,importance,kept_positions,decode")
        bench.checks.right(result, f"what a case of kind '{kind}' says of itself")
        ranks = len(groups)
        bench.checks.that(f"; {ranks} of {ranks} ranks judged, and decode\n" in result.out.decode(),
                          f"all of kind '{kind}' is judged", result.out.decode()[-300:])
        if result.status:
            print(result.out.decode()[-3000:])


def retyped(name: str, dtype: Any) -> Callable[[Any], None]:
    """Stores a dataset of the file in another type."""
    def change(file: Any) -> None:
        values = np.nan_to_num(file[name][:], neginf=0).astype(dtype)
        del file[name]
        file[name] = values
    return change


def check_stored_types(bench: Bench) -> None:
    """Floats are floats of any width, positions are integers."""
    checks = bench.checks

    def add(name: str, dtype: Any) -> Callable[[Any], None]:
        def change(file: Any) -> None:
            with h5py.File(bench.case) as case:
                file[name] = np.zeros_like(case[name][:], dtype) if name in case else np.zeros((42, HEADS), dtype)
        return change
    floats, integers = "integers: must be floating-point numbers", "floating-point numbers: must be integers"
    for what, change, wanted in [
        ("out", retyped("rank_1/out", np.int32), f"/rank_1/out = {floats}"),
        ("lse", add("rank_1/lse", np.int64), f"/rank_1/lse = {floats}"),
        ("importance", add("rank_1/importance", np.int8), f"/rank_1/importance = {floats}"),
        ("kept positions", add("rank_1/kept_positions", np.float64), f"/rank_1/kept_positions = {integers}"),
    ]:
        checks.refused(bench.verify(bench.case, bench.changed("type.h5", change)), f"{what} of another type", wanted)
    for name, wanted in [("query", floats), ("importance", floats), ("passing_key", floats), ("doc_pos", integers),
                         ("kept_positions", integers), ("passing_doc_pos", integers)]:
        other = bench.folder / "other-case.h5"
        other.write_bytes(bench.case.read_bytes())
        with h5py.File(other, "r+") as file:
            retyped(f"rank_1/{name}", np.int32 if wanted == floats else np.float32)(file)
        checks.refused(bench.verify(other, bench.right), f"a case's {name} of another type",
                       f"/rank_1/{name} = {wanted}")

    def halve(file: Any) -> None:
        for rank in range(3):
            retyped(f"rank_{rank}/out", np.float16)(file)
        file.attrs["out_dtype"] = "float16"
    checks.right(bench.verify(bench.case, bench.changed("half.h5", halve)), "out stored as numpy's float16")


def check_bad_input(bench: Bench) -> None:
    checks, case, right = bench.checks, bench.case, bench.right
    (bench.folder / "text").write_text("not HDF5")
    truncated = bench.folder / "truncated.h5"
    truncated.write_bytes(right.read_bytes()[:2000])

    def clear(file: Any) -> None:
        for rank in range(3):
            del file[f"rank_{rank}"]

    def reshape(file: Any) -> None:
        del file["rank_0/out"]
        file["rank_0/out"] = np.zeros((40, HEADS, DIM + 1))

    def name(**attributes: Any) -> Path:
        return bench.changed(f"{attributes}.h5", lambda file: file.attrs.update(**attributes))

    def no_rows(file: Any) -> None:
        del file["rank_1/out"]
        file["rank_1/out"], file["rank_1/row_index"] = np.zeros((0, HEADS, DIM)), np.zeros(0, np.int64)

    def anonymous(file: Any) -> None:
        del file.attrs["schema"], file.attrs["version"]
    checks.right(bench.verify(case, bench.changed("anonymous.h5", anonymous)), "a candidate without schema or version")
    (bench.folder / "folder").mkdir()
    lines: list[tuple[str, list[Any], list[str]]] = [
        ("no arguments", [], ["CASE"]),
        ("no candidate", [case], ["CANDIDATE"]),
        ("a missing case", ["missing.h5", right], ["missing.h5", "no such file"]),
        ("a missing candidate", [case, "missing.h5"], ["missing.h5", "no such file"]),
        ("a text", [case, "text"], ["text", "not an HDF5 file"]),
        ("half a file", [case, truncated], ["truncated.h5"]),
        ("a candidate for a case", [right, case], ["right.h5", "schema"]),
        ("a case for a candidate", [case, case], ["case.h5: schema = apb-case: .*a case is no candidate"]),
        ("another schema", [case, name(schema="mine")], ["schema = mine: must be apb-candidate, or absent$"]),
        ("another version", [case, name(version=2)], ["version = 2: must be 1, or absent$"]),
        ("no row", [case, bench.changed("no_rows.h5", no_rows)], [r"/rank_1/row_index = \[\]: must be at least one row"]),
        ("another type of P", [case, name(p_dtype="float8")], ["p_dtype = float8: must be one of float64, float32, "]),
        ("an exp of nothing", [case, name(exp_accuracy=0.0)], ["exp_accuracy = 0: must be the largest relative error "]),
        ("an exp of NaN", [case, name(exp_accuracy=np.nan)], ["exp_accuracy = nan: must be "]),
        ("a bad exp", [case, name(exp_accuracy=0.1)], ["exp_accuracy = 0.1: must be .* above 0 and at most 0.01 "]),
        ("a folder for a case", ["folder", right], ["folder: is a folder$"]),
        ("a folder for a candidate", [case, "folder"], ["folder: is a folder$"]),
        ("a folder for a plug-in", ["--plugin", "folder"], ["folder: is a folder$"]),
        ("a device for a case", ["/dev/null", right], ["/dev/null: is no regular file"]),
        ("a device for a plug-in", ["--plugin", "/dev/null"], ["/dev/null: is no regular file"]),
        ("nothing to judge", [case, bench.changed("empty.h5", clear)], ["nothing to judge"]),
        ("a wrong shape", [case, bench.changed("shape.h5", reshape)], ["rank_0/out"]),
        ("an unknown quantity", [case, right, "--require", "output"], ["--require", "output", "importance"]),
        ("no rows", [case, right, "--rows", "0"], ["--rows: 0: must be a whole number from 1 to 1099511627776"]),
        ("half a row", [case, right, "--rows", "1.5"], ["--rows: 1.5: must be a whole number"]),
        ("a JSON file nowhere", [case, right, "--json", "missing/report.json"], ["missing/report.json"]),
        ("a plug-in that is missing", ["--plugin", "missing.so"], ["missing.so", "no such file"]),
        ("candidate and plug-in", [case, right, "--plugin", "text"], ["CANDIDATE"]),
        ("words for plug-ins", [case, right, "--timeout", "9"], ["--timeout", "--plugin"]),
        ("a seed of nothing", [case, right, "--seed", "1"], ["--seed", "--rows or --plugin"]),
        ("rows of a grid", ["--plugin", "text", "--rows", "9"], ["--rows", "CASE"]),
        ("what a plug-in cannot lack", ["--plugin", "text", "--require", "out"], ["--require", "--plugin"]),
    ]
    lines += [(f"{seed} as a seed", [case, right, "--rows", "9", "--seed", seed],
               [f"--seed: {seed}: must be a whole number from 0 to 9223372036854775807 "])
              for seed in ("-1", "9223372036854775808", "99999999999999999999", "1.5", "nan", "x", "0x", "")]
    lines += [(f"{time} as a time", [case, "--plugin", "text", "--timeout", time],
               [f"--timeout: {time}: must be a number from 0.01 to 86400 "])
              for time in ("0", "-1", "nan", "inf", "1e9", "x", "")]
    for what, words, wanted in lines:
        checks.refused(bench.verify(*words), what, *wanted)


def main() -> None:
    (bin_dir,) = arguments("BIN_DIR", 1)
    checks = Checks()
    with temporary_folder() as name:
        bench = Bench(checks, program(bin_dir, "apb-verify"), Path(name))
        check_pass(bench)
        check_diagnosis(bench)
        check_others(bench)
        check_hidden_nan(bench, program(bin_dir, "apb-case"))
        check_declared(bench)
        check_sampled_rows(bench)
        check_whole_cases(bench, program(bin_dir, "apb-case"))
        check_stored_types(bench)
        check_bad_input(bench)
    checks.finish()


if __name__ == "__main__":
    main()
