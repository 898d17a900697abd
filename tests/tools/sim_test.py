#!/usr/bin/env python3
"""`apb sim` as a user runs it: every command, its formats, what it refuses, and what no answer may contradict.

  sim_test.py BIN_DIR
"""
from __future__ import annotations

import copy
import csv
import io
import json
import math
import subprocess
from pathlib import Path
from typing import Any, Callable

from refusals import Folder
from tool_testing import ROOT, Checks, Result, arguments, program, run, temporary_folder

METHODS = ["full", "tensor_parallel", "minference", "ring", "zigzag_ring", "all_gather", "ulysses", "star", "ape", "apb",
           "spava"]
COMMANDS = ["predict", "compare", "sweep", "search", "sensitivity", "trace", "validate", "calibrate"]
MACHINES = ROOT / "configs" / "machines"
VALIDATION = ROOT / "configs" / "validation"

# Questions that must be refused, and what the line must say.
BAD_QUESTIONS: list[tuple[list[str], list[str]]] = [
    (["--tokens", "-1"], ["tokens", "-1"]),
    (["--tokens", "1.5"], ["tokens", "1.5"]),
    (["--tokens", "nan"], ["tokens", "nan"]),
    (["--tokens", ""], ["tokens"]),
    (["--tokens", "1G"], ["tokens", "1G"]),
    (["--tokens", "1025M"], ["tokens", "1025M"]),
    (["--tokens", "99999999999999999999"], ["tokens", "99999999999999999999"]),
    (["--method", "full", "--tokens", "1024M"], ["1 x 1073741824", "64 bits"]),
    (["--batch", "1000000000"], ["batch", "1000000000 x 131072", "64 bits"]),
    (["--ranks", "0"], ["ranks", "0"]),
    (["--ranks", "2.5"], ["ranks", "2.5"]),
    (["--ranks", "4097"], ["ranks", "4097"]),
    (["--anchor", "-1"], ["anchor", "-1"]),
    (["--anchor", "nan"], ["anchor", "nan"]),
    (["--anchor", "16385"], ["anchor", "16385", "16384"]),
    (["--keep", "-1"], ["keep", "-1"]),
    (["--keep", "16385"], ["num_kept", "16385", "16384"]),
    (["--compressor", "none", "--keep", "5"], ["num_kept", "5", "none"]),
    (["--compressor", "magic"], ["magic", "retaining_head"]),
    (["--compressor", "query_aware", "--query", "0"], ["query"]),
    (["--query", "-1"], ["query", "-1"]),
    (["--batch", "0"], ["batch", "0"]),
    (["--tp", "3"], ["tp", "3", "32"]),
    (["--pp", "33"], ["pp", "33", "32"]),
    (["--pp", "2", "--chunks", "2"], ["chunks", "2"]),
    (["--overlap", "nan"], ["overlap", "nan"]),
    (["--overlap", "1.5"], ["overlap", "1.5"]),
    (["--overlap", "-0.5"], ["overlap", "-0.5"]),
    (["--model", "magic"], ["magic", "llama-3.1-8b"]),
    (["--machine", "magic"], ["magic", "H100"]),
    (["--method", "magic"], ["magic", "full, tensor_parallel, minference"]),
    (["--backend", "magic"], ["magic", "cudnn"]),
    (["--method", "ulysses", "--ranks", "3"], ["ranks", "3", "8"]),
    (["--method", "ulysses", "--ranks", "16"], ["ranks", "16", "8"]),
    (["--method", "tensor_parallel", "--ranks", "3"], ["ranks", "3", "32"]),
    (["--block-lens", "16384,16384"], ["block_lens", "2 lengths", "8"]),
    (["--ranks", "2", "--block-lens", "65536,65535"], ["block_lens", "131071", "131072"]),
    (["--ranks", "2", "--block-lens", "131073,-1"], ["block-lens", "-1"]),
    (["--nics", "0", "--ranks", "16"], ["16", "8", "network"]),
    (["--nics", "0", "--pp", "2"], ["16", "8", "network"]),
    (["--nics", "0", "--method", "full", "--pp", "16"], ["16", "8", "network"]),
    (["--nic-gbs", "0"], ["nic-gbs", "0"]),
    (["--nic-gbs", "inf"], ["nic-gbs", "inf"]),
    (["--gpus-per-node", "0"], ["gpus-per-node", "0"]),
    (["--machine", "missing.json"], ["missing.json"]),
    (["--model", "missing.json"], ["missing.json"]),
    (["--unknown"], ["--unknown"]),
    (["stray"], ["stray"]),
]

# Configurations that no test of one thing would try.
STRANGE: list[list[str]] = [
    ["--tokens", "0"], ["--tokens", "1"], ["--tokens", "5"], ["--tokens", "5", "--query", "0"], ["--ranks", "1"],
    ["--ranks", "3"], ["--ranks", "7"], ["--ranks", "64"], ["--ranks", "256", "--tokens", "16M"], ["--tp", "4"],
    ["--tp", "16"], ["--pp", "2"], ["--pp", "5", "--batch", "6", "--chunks", "3"], ["--batch", "64"], ["--captured"],
    ["--overlap", "0"], ["--overlap", "0.5"], ["--overlap", "1"], ["--compressor", "none", "--keep", "0"],
    ["--compressor", "query_aware"], ["--compressor", "random"], ["--compressor", "recent"], ["--anchor", "0"],
    ["--keep", "0"], ["--anchor", "0", "--keep", "0"], ["--query", "0"], ["--query", "100000"],
    ["--model", "yi-34b-200k", "--tp", "7"], ["--model", "smollm2-135m"], ["--tokens", "16M"],
    ["--ranks", "16", "--nics", "1", "--nic-gbs", "0.001"], ["--gpus-per-node", "1"],
    ["--ranks", "2", "--block-lens", "131072,0", "--anchor", "4096"]
]


class Sim:
    """The program, and checks that every answer must pass."""

    def __init__(self, checks: Checks, tool: Path, folder: Path) -> None:
        self.checks, self.tool, self.folder = checks, tool, folder

    def run(self, *words: Any) -> Result:
        result = run([self.tool, *words], cwd=self.folder)
        self.checks.right(result, "a question that can be answered")
        self.checks.that(result.seconds < 1, f"must take less than a second, takes {result.seconds:.2f} s", result)
        for word in (b"nan", b"inf"):
            whole = result.out.lower().replace(b"minference", b"").replace(b"info", b"").split()
            self.checks.that(not any(piece.strip(b",;.()xs") in (word, b"-" + word) for piece in whole),
                             f"must not print {word.decode()}", result)
        return result

    def answer(self, *words: Any) -> Any:
        result = self.run(*words, "--json")
        try:
            found = json.loads(result.out.decode(), parse_constant=lambda word: self.checks.that(False, word, result))
        except ValueError as error:
            self.checks.that(False, f"must print JSON: {error}", result)
            return {}
        return found

    def predict(self, *words: Any) -> Any:
        return self.answer("predict", *words).get("prediction", {})

    def seconds(self, *words: Any) -> float:
        return self.predict(*words).get("time_to_first_token_s", math.nan)

    def text(self, *words: Any) -> str:
        return self.run(*words).out.decode()


def help_and_needs(checks: Checks, sim: Sim) -> None:
    whole = sim.text("--help")
    for command in COMMANDS:
        checks.that(command in whole, f"--help must list {command}", whole)
        found = sim.text(command, "--help")
        checks.that("Usage: " in found and command in found, f"{command} --help must say how it is used", found)
    libraries = subprocess.run(["ldd", sim.tool], capture_output=True, text=True, check=False).stdout
    for library in ("libmpi", "libhdf5", "libcuda", "libnccl"):
        checks.that(library not in libraries, f"must not need {library}", libraries)


def sane(checks: Checks, what: str, prediction: Any) -> None:
    """What holds of every prediction."""
    def numbers(value: Any, where: str = "") -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                numbers(part, f"{where}.{key}")
        elif isinstance(value, list):
            for part in value:
                numbers(part, where)
        elif not isinstance(value, str):
            checks.that(isinstance(value, (int, float)) and value >= -1e-15, f"{what}: {where} = {value}: not negative, a number")

    numbers(prediction)
    band = prediction["band"]
    total = prediction["time_to_first_token_s"]
    checks.that(0 < band["p10_s"] < band["p50_s"] == total < band["p90_s"], f"{what}: a band around its time", band)
    checks.that(prediction["lm_head_s"] > 0 and prediction["decode_step_s"] > 0, f"{what}: times above 0", prediction)
    parts = sum(prediction[part] for part in ("prefill_s", "query_pass_s", "lm_head_s"))
    checks.that(math.isclose(parts, total, rel_tol=1e-9), f"{what}: parts add up to the time", (parts, total))
    memory = prediction["memory_bytes"]
    checks.equal(sum(memory.values()), 2 * memory["total"], f"{what}: memory adds up")
    checks.that(prediction["imbalance"] > 1 - 1e-9, f"{what}: nobody is busier than the busiest", prediction["imbalance"])
    for rank in prediction["ranks"]:
        spent = sum(rank["parts"].values()) + rank["launches_s"] + rank["waiting_s"]
        checks.that(math.isclose(spent, rank["finished_s"], rel_tol=1e-9, abs_tol=1e-12),
                    f"{what}: a rank's parts and waits add up to when it is done", rank)


def strange_questions(checks: Checks, sim: Sim) -> None:
    """Every method answers sanely, or refuses in one line."""
    for words in STRANGE:
        answered = 0
        for method in METHODS:
            what = " ".join([method, *words])
            result = run([sim.tool, "predict", "--method", method, *words, "--json"])
            if result.status == 2:
                checks.refused(result, what)
                continue
            checks.right(result, what)
            answered += 1
            sane(checks, what, result.json()["prediction"])
        checks.that(answered >= 5, f"{words}: most methods must answer, {answered} do")
        sim.run("predict", *words)


def formats(checks: Checks, sim: Sim) -> None:
    """Text, JSON and CSV say the same."""
    answer = sim.answer("predict")
    text = sim.text("predict", "--work")
    total = answer["prediction"]["time_to_first_token_s"]
    checks.that(f"Time to first token  {1e3 * total:.0f} ms" in text, "predict: text and JSON must agree", text)
    for part in answer["work"]["prefill_layer"][7].values():
        checks.that(f"{part['flop']:,}" in text, f"predict --work: must show {part['flop']:,}", text)
    checks.equal(sorted(answer["speedup_over"]), sorted(METHODS), "predict: a speedup over every method")

    words = ["compare", "--tokens", "32K,1M", "--ranks", "1,3,8"]
    rows = list(csv.DictReader(io.StringIO(sim.text(*words, "--csv"))))
    compared = sim.answer(*words)["comparisons"]
    text = sim.text(*words)
    checks.equal(len(rows), 6 * len(METHODS), "compare: a row for each method, length and number of ranks")
    listed = [(comparison, one) for comparison in compared for one in comparison["methods"]]
    for row, (comparison, one) in zip(rows, listed):
        what = f"compare: {row['method']}, {row['doc_len']} tokens, {row['ranks']} ranks"
        checks.equal((row["method"], row["doc_len"], row["ranks"]),
                     (one["method"], str(comparison["doc_len"]), str(comparison["ranks"])), f"{what}: same order")
        checks.equal(bool(row["refusal"]), "prediction" not in one, f"{what}: refused in both or in neither")
        if "prediction" not in one:
            checks.equal(row["refusal"], one["refusal"], f"{what}: the same refusal")
            continue
        prediction = one["prediction"]
        sane(checks, what, prediction)
        checks.equal(float(row["time_to_first_token_s"]), prediction["time_to_first_token_s"], f"{what}: time")
        checks.equal(float(row["p90_s"]), prediction["band"]["p90_s"], f"{what}: band")
        checks.equal(int(row["memory_bytes"]), prediction["memory_bytes"]["total"], f"{what}: memory")
        checks.equal(int(row["longest_prompt_tokens"]), one["longest_prompt_tokens"], f"{what}: longest prompt")
        checks.that(f"{one['longest_prompt_tokens']:,}" in text, f"{what}: longest prompt in the text")
        single = sim.predict("--method", row["method"], "--tokens", row["doc_len"], "--ranks", row["ranks"])
        checks.equal(single, prediction, f"{what}: predict must say the same")
        for over, column in (("full", "speedup_over_full"), ("tensor_parallel", "speedup_over_tensor_parallel")):
            other = next(o for o in comparison["methods"] if o["method"] == over)
            runs = "prediction" in other and other["prediction"]["fit"] != "out of memory"
            wanted = other["prediction"]["time_to_first_token_s"] / prediction["time_to_first_token_s"] if runs else None
            checks.equal(float(row[column]) if row[column] else None, wanted, f"{what}: {column}")
    for comparison in compared:
        sentence = " ".join(comparison["answer"].split())
        checks.that(sentence in " ".join(text.split()), "compare: the text must hold the answer", sentence)

    short = sim.text("compare", "--tokens", "1", "--ranks", "8")
    checks.that("1 token on 8 ranks: Full is fastest" in short and "tensor parallelism's speed on 8 GPUs" in " ".join(short.split()),
                "compare: one GPU is not the same as eight", short)

    words = ["sweep", "--tokens", "32K,128K", "--ranks", "2,8", "--keep", "0,1024", "--price", "2.5"]
    rows = list(csv.DictReader(io.StringIO(sim.text(*words, "--csv"))))
    answer = sim.answer(*words)
    checks.equal(answer["run"], len(rows), "sweep: as many rows as run")
    for point in answer["pareto_front"]:
        same = [row for row in rows if (row["method"], int(row["doc_len"]), int(row["ranks"]), int(row["num_kept"])) ==
                (point["job"]["method"], point["job"]["doc_len"], point["job"]["num_ranks"], point["job"]["num_kept"])]
        checks.that(any(float(row["time_to_first_token_s"]) == point["band"]["p50_s"] for row in same),
                    "sweep: what nothing beats is one of the rows", point)
        for row in rows:
            beaten = int(row["doc_len"]) == point["job"]["doc_len"] and int(row["gpus"]) <= point["job"]["num_gpus"] and \
                float(row["time_to_first_token_s"]) < point["band"]["p50_s"] * (1 - 1e-9) and \
                float(row["cost_per_million_tokens"]) < point["cost_per_million_tokens"] * (1 - 1e-9)
            checks.that(not beaten, "sweep: nothing beats the front", (row, point))


def other_commands(checks: Checks, sim: Sim) -> None:
    found = sim.answer("search", "--max-gpus", "8", "--show", "1000")
    times = [one["prediction"]["time_to_first_token_s"] for one in found["results"]]
    checks.that(len(times) > 20 and times == sorted(times), "search: best first", times)
    checks.that(all(one["job"]["num_gpus"] <= 8 for one in found["results"]), "search: within its GPUs")
    uneven = found["uneven_blocks"]
    checks.that(uneven["after_s"] <= uneven["before_s"], "search: uneven blocks are never slower", uneven)
    job = uneven["job"]
    checks.equal(sum(job["block_lens"]), job["doc_len"], "search: uneven blocks add up")
    again = sim.seconds("--method", job["method"], "--ranks", job["num_ranks"], "--tp", job["tensor_parallel"], "--anchor",
                        job["anchor_len"], "--keep", job["num_kept"], "--block-lens", ",".join(map(str, job["block_lens"])))
    checks.that(math.isclose(again, uneven["after_s"]), "search: predict agrees on uneven blocks", (again, uneven["after_s"]))
    fastest = sim.seconds("--method", found["results"][0]["job"]["method"], "--ranks", found["results"][0]["job"]["num_ranks"],
                          "--tp", found["results"][0]["job"]["tensor_parallel"])
    checks.that(fastest >= times[0], "search: predict finds nothing faster", (fastest, times[0]))
    nothing = run([sim.tool, "search", "--max-seconds", "0.001"])
    checks.that(nothing.status == 1 and len(nothing.error_lines()) == 1, "search: status 1 if nothing satisfies", nothing)

    for words in ([], ["--ranks", "16", "--nics", "1"], ["--method", "full"]):
        found = sim.answer("sensitivity", *words)
        checks.equal(found["base_s"], sim.seconds(*words), "sensitivity: its base is what predict says")
        widths = [abs(one["time_at_high_s"] - one["time_at_low_s"]) for one in found["swings"]]
        checks.that(len(widths) >= 6 and widths == sorted(widths, reverse=True), "sensitivity: widest first", widths)
        text = sim.text("sensitivity", *words)
        checks.that(all(one["input"] in text for one in found["swings"]), "sensitivity: text and JSON agree", text)


def traces(checks: Checks, sim: Sim) -> None:
    for words in ([], ["--method", "ring"], ["--method", "ring", "--overlap", "0.5"], ["--method", "spava"],
                  ["--overlap", "1"], ["--method", "tensor_parallel"], ["--method", "zigzag_ring", "--tp", "2"],
                  ["--method", "ulysses"], ["--tokens", "3"]):
        events = json.loads(sim.text("trace", "--layers", "3", *words))["traceEvents"]
        streams: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for event in events:
            checks.that(event["ph"] in ("M", "X"), f"trace {words}: known events", event)
            if event["ph"] == "X":
                checks.that(event["dur"] > 0 and event["ts"] >= 0, f"trace {words}: lasts", event)
                streams.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
        for stream, intervals in streams.items():
            intervals.sort()
            for (_, end), (begin, _) in zip(intervals, intervals[1:]):
                if not checks.that(begin >= end - 1e-6, f"trace {words}: {stream} must not overlap", (end, begin)):
                    break
    waits = [e["dur"] for e in json.loads(sim.text("trace"))["traceEvents"] if e.get("cat") == "wait" and e["pid"] == 0]
    checks.that(len(waits) == 4, "trace: APB's rank 0 waits in every layer", waits)
    sim.run("trace", "--out", "trace.json")
    written = (sim.folder / "trace.json").read_text()
    checks.equal(json.loads(written), json.loads(sim.text("trace")), "trace: the file holds what is printed")


def properties(checks: Checks, sim: Sim) -> None:
    for method in METHODS:
        times = [sim.seconds("--method", method, "--ranks", 16, "--nics", 2, "--nic-gbs", speed) for speed in (1, 10, 100, 1000)] \
            if method != "ulysses" else [1.0]
        checks.that(all(b <= a * (1 + 1e-12) for a, b in zip(times, times[1:])), f"{method}: faster cards are never slower", times)
        memory = [sim.predict("--method", method, "--ranks", ranks, "--tokens", "1M")["memory_bytes"]["total"]
                  for ranks in (2, 4, 8)]
        checks.that(memory[0] >= memory[1] >= memory[2], f"{method}: more ranks never need more memory", memory)
    for method in ("tensor_parallel", "ring", "zigzag_ring", "all_gather", "ulysses"):
        for words in ([], ["--tp", "2"], ["--tp", "16"], ["--model", "yi-34b-200k", "--tp", "7"]):
            full = sim.predict("--method", "full", "--ranks", 1, *words)["prefill_s"]
            one = sim.predict("--method", method, "--ranks", 1, *words)["prefill_s"]
            checks.that(math.isclose(full, one, rel_tol=1e-9), f"one rank of {method} {words} must be Full", (one, full))
    for tokens in ("8K", "128K", "1M"):
        kept = [sim.seconds("--tokens", tokens, "--keep", keep) for keep in (0, 128, 512, 1024)]
        checks.that(kept == sorted(kept), f"{tokens}: keeping less is never slower", kept)
    even = sim.predict("--pp", 16, "--batch", 64, "--chunks", 64, "--nics", 8)["prefill_s"]
    uneven = sim.predict("--pp", 20, "--batch", 64, "--chunks", 64, "--nics", 8)["prefill_s"]
    checks.that(uneven >= even, "20 stages of 32 layers: some have two, so they are not faster than 16", (uneven, even))
    whole = {method: sim.seconds("--method", method) for method in METHODS}
    for method in METHODS:
        over = sim.answer("predict", "--method", method)["speedup_over"]
        for other in METHODS:
            checks.that(math.isclose(over[other], whole[other] / whole[method]), f"speedup of {method} over {other}", over[other])


def longest_prompts(checks: Checks, sim: Sim) -> None:
    """What fits by memory is borderline, and a fifth more is not."""
    for words in ([], ["--anchor", "8192", "--keep", "1024"], ["--anchor", "0"]):
        compared = sim.answer("compare", "--tokens", "1M", *words)["comparisons"][0]
        for one in compared["methods"]:
            method, longest = one["method"], one["longest_prompt_tokens"]
            own = words if method in ("apb", "spava") else words[:2] if method in ("star", "ape") else []
            at = sim.predict("--method", method, "--tokens", longest, *own)
            checks.equal(at.get("fit"), "borderline", f"{method} {words}: the longest prompt that fits, {longest:,}, is borderline")
            beyond = sim.predict("--method", method, "--tokens", int(1.25 * longest), *own)
            checks.equal(beyond.get("fit"), "out of memory", f"{method} {words}: a quarter more than {longest:,}")
            text = sim.text("predict", "--method", method, "--tokens", "1M", *own)
            checks.that(f"longest prompt that fits: {longest:,} tokens" in text, f"{method} {words}: predict says {longest:,}", text)
    sim.run("predict", "--ranks", 2, "--block-lens", "81920,49152")


def work_counts(checks: Checks, sim: Sim) -> None:
    """Counts by hand: Llama-3.1-8B (4096 wide, 14336, 32 heads, 8 KV heads of 128), 128K tokens."""
    n, wide, ffn, heads, kv, dim = 131072, 4096, 14336, 32, 8, 128

    def parts(rows: int, pairs: int, ranks: int = 1) -> dict[str, int]:
        return {"QKV": 2 * rows * wide * (heads + 2 * kv) * dim // ranks, "attention": 4 * dim * heads * pairs // ranks,
                "O": 2 * rows * heads * dim * wide // ranks, "FFN": 6 * rows * wide * ffn // ranks}

    causal = lambda rows: rows * (rows + 1) // 2
    block, anchor, kept, query = n // 8, 4096, 2048, 64
    front = anchor + query
    last = causal(front) + causal(block) + block * (front + 7 * kept)
    for method, rank, wanted, sent in (
            ("full", 0, parts(n, causal(n)), 0),
            ("tensor_parallel", 0, parts(n, causal(n), 8), 2 * 2 * (n * wide * 2) * 7 // 8),
            ("apb", 7, parts(front + block, last), 7 * kept * 2 * kv * dim * 2),
            ("apb", 0, parts(block, causal(block)), 7 * kept * 2 * kv * dim * 2)):
        work = sim.answer("predict", "--method", method)["work"]["prefill_layer"][rank]
        for part, flop in wanted.items():
            checks.equal(work[part]["flop"], flop, f"{method}, rank {rank}: FLOPs of {part}")
        checks.equal(sum(part["bytes_sent"] for part in work.values()), sent, f"{method}, rank {rank}: bytes sent")


def replays(checks: Checks, sim: Sim) -> None:
    shipped = sim.answer("validate")["sets"]
    checks.equal(sorted(one["set"] for one in shipped), sorted(path.stem for path in VALIDATION.glob("*.json")), "validate: all sets")
    text = sim.text("validate")
    checks.that(all(one["title"] in text and not one["broken"] for one in shipped), "validate: text and JSON agree", text)
    paper = json.loads((VALIDATION / "apb-paper.json").read_text())
    attention = json.loads((VALIDATION / "h100-apb-attention.json").read_text())
    place = Folder(checks, sim.folder / "sets")

    def replay(content: Any) -> Result:
        (place.path / "set.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return run([sim.tool, "validate", "set.json"], cwd=place.path)

    def changed(base: Any, change: Callable[[Any], Any]) -> Any:
        content = copy.deepcopy(base)
        change(content)
        return content

    checks.right(replay(paper), "a copied set")
    timed = next(i for i, row in enumerate(paper["prefill"]) if "seconds" in row)
    for what, content in (
        ("a tightened mean", changed(paper, lambda s: s["bounds"].update(mean_error=0.001))),
        ("a tightened worst", changed(paper, lambda s: s["bounds"].update(worst_error=0.01))),
        ("full coverage", changed(paper, lambda s: s["bounds"].update(coverage=1))),
        ("a narrow band", changed(paper, lambda s: s["bounds"].update(half_width=0.001))),
        ("another time", changed(paper, lambda s: s["prefill"][timed].update(seconds=2 * s["prefill"][timed]["seconds"]))),
        ("another kernel time", changed(attention, lambda s: s["attention"][0].update(ms=100)))):
        result = replay(content)
        checks.that(result.status == 1 and b"BROKEN" in result.out, f"validate, {what}: status 1", result)

    rows = "prefill"
    for what, content, words in (
        ("no JSON", "{", ["set.json"]),
        ("a list", [], ["set.json"]),
        ("an unknown key", changed(paper, lambda s: s.update(magic=1)), ["set.json", "magic"]),
        ("no bounds", changed(paper, lambda s: s.pop("bounds")), ["set.json", "bounds"]),
        ("a bound that is text", changed(paper, lambda s: s["bounds"].update(mean_error="4 %")), ["set.json", "bounds.mean_error"]),
        ("a negative bound", changed(paper, lambda s: s["bounds"].update(mean_error=-1)), ["set.json", "bounds.mean_error"]),
        ("a bound that is true", changed(paper, lambda s: s["bounds"].update(mean_error=True)), ["set.json", "bounds.mean_error"]),
        ("a row without a method", changed(paper, lambda s: s[rows][0].pop("method")), ["set.json", r"prefill\[0\].method"]),
        ("an unknown method", changed(paper, lambda s: s[rows][0].update(method="magic")), ["set.json", "magic"]),
        ("half a rank", changed(paper, lambda s: s[rows][0].update(ranks=2.5)), ["set.json", r"prefill\[0\].ranks", "2.5"]),
        ("no ranks", changed(paper, lambda s: s[rows][0].update(ranks=0)), ["set.json", r"prefill\[0\].ranks", "0"]),
        ("too many ranks", changed(paper, lambda s: s[rows][0].update(ranks=2**32 + 1)), ["set.json", r"prefill\[0\].ranks"]),
        ("a negative time", changed(paper, lambda s: s[rows][timed].update(seconds=-1)), ["set.json", "seconds"]),
        ("an unknown key in a row", changed(paper, lambda s: s[rows][1].update(magic=1)), ["set.json", r"prefill\[1\].magic"]),
        ("rows that are an object", changed(paper, lambda s: s.update(prefill={})), ["set.json", "prefill"]),
        ("an unknown part", changed(paper, lambda s: s["parts"][0]["parts_ms"].update(magic=1)), ["set.json", "magic"]),
        ("an overlap of 2", changed(paper, lambda s: s.update(overlap=2)), ["set.json", "overlap"]),
        ("another schema", changed(paper, lambda s: s.update(schema="magic")), ["set.json", "schema", "magic"]),
        ("another version", changed(paper, lambda s: s.update(version=2)), ["set.json", "version", "2"]),
        ("an unknown machine", changed(paper, lambda s: s.update(machine="magic")), ["magic"]),
        ("an unknown model", changed(paper, lambda s: s.update(model="magic")), ["magic"]),
        ("an unknown back end", changed(attention, lambda s: s["attention"][0].update(backend="magic")), ["magic"]),
        ("a kernel of no time", changed(attention, lambda s: s["attention"][0].update(ms=0)), ["set.json", r"attention\[0\].ms"]),
        ("a kernel of no rows", changed(attention, lambda s: s["attention"][0].update(block_len=0)),
         ["set.json", r"attention\[0\].block_len"])):
        result = replay(content)
        result = result._replace(err="".join(line + "\n" for line in result.error_lines() if "stand in" not in line))
        checks.refused(result, f"validate, {what}", *words)
    checks.refused(run([sim.tool, "validate", "magic"]), "validate, an unknown set", "magic", "apb-paper")


def broken_machines(checks: Checks, sim: Sim) -> None:
    h100 = json.loads((MACHINES / "H100.json").read_text())
    place = Folder(checks, sim.folder / "machines")

    def refused(what: str, content: Any, *words: str) -> None:
        (place.path / "m.json").write_text(content if isinstance(content, str) else json.dumps(content))
        place.refused(f"a machine with {what}", [sim.tool, "predict", "--machine", "m.json"], "m.json", *words)

    def changed(change: Callable[[Any], Any]) -> Any:
        content = copy.deepcopy(h100)
        change(content)
        return content

    refused("no JSON", "{")
    refused("nothing", "")
    refused("a list", [])
    refused("an unknown key", changed(lambda m: m.update(magic=1)), "magic")
    refused("no peak", changed(lambda m: m["values"].pop("peak")), "values.peak")
    refused("a peak of 0", changed(lambda m: m["values"]["peak"].update(value=0)), "values.peak.value")
    refused("a peak that is text", changed(lambda m: m["values"]["peak"].update(value="989")), "values.peak.value")
    refused("another unit", changed(lambda m: m["values"]["peak"].update(unit="PFLOP/s")), "values.peak.unit", "TFLOP/s")
    refused("an unknown source", changed(lambda m: m["values"]["peak"].update(source="magic")), "values.peak.source")
    refused("an unknown provenance", changed(lambda m: m["values"]["peak"].update(provenance="guess")), "provenance", "guess")
    refused("half a GPU", changed(lambda m: m["values"]["gpus_per_node"].update(value=7.5)), "gpus_per_node", "7.5")
    refused("another version", changed(lambda m: m.update(version=2)), "version")
    refused("a negative time", changed(lambda m: m["tables"]["collectives"][0]["rows"][0].__setitem__(1, -1)),
            r"tables.collectives\[0\]")
    refused("a short row", changed(lambda m: m["tables"]["gemm"][0]["rows"][0].pop()), r"tables.gemm\[0\]")
    refused("a rate above the peak", changed(lambda m: m["tables"]["gemm"][0]["rows"][0].__setitem__(3, 5000)), r"tables.gemm\[0\]")


def refusals(checks: Checks, sim: Sim) -> None:
    place = Folder(checks, sim.folder / "refused")
    (place.path / "file").write_bytes(b"")
    (place.path / "folder").mkdir()
    for words, wanted in BAD_QUESTIONS:
        place.refused(" ".join(["predict", *words]), [sim.tool, "predict", *words], *wanted)
        for command in ("trace", "sensitivity"):
            place.refused(" ".join([command, *words]), [sim.tool, command, *words], *wanted)
    for command in ("predict", "compare", "sweep", "sensitivity"):
        for path in ("missing/page.html", "folder", "file/page.html"):
            place.refused(f"{command} --html {path}", [sim.tool, command, "--html", path], path)
    for path in ("missing/trace.json", "folder"):
        place.refused(f"trace --out {path}", [sim.tool, "trace", "--out", path], path)
    for words, wanted in (([], "command|subcommand"), (["sweep", "--methods", "magic"], "magic"),
                          (["sweep", "--tokens", "1K,x"], "x"), (["sweep", "--models", "magic"], "magic"),
                          (["sweep", "--quality", "magic"], "magic"), (["sweep", "--links", "0"], "links"),
                          (["sweep", "--price", "-1"], "price"), (["search", "--min-quality", "50"], "quality"),
                          (["search", "--max-gpus", "0"], "max-gpus"), (["search", "--goal", "cost"], "price"),
                          (["compare", "--ranks", "1,0"], "ranks"), (["calibrate"], "--machine|--out"),
                          (["calibrate", "--machine", "H100", "--out", "x"], "json"),
                          (["calibrate", "--machine", "H100", "--out", "x.json", "--gemm", "missing.csv"], "missing.csv")):
        place.refused(" ".join(words), [sim.tool, *words], wanted)
    with open("/dev/full", "wb") as full:
        found = subprocess.run([sim.tool, "predict"], stdout=full, stderr=subprocess.PIPE, check=False)
    checks.that(found.returncode == 3 and found.stderr.count(b"\n") == 1, "a full disk: status 3 and one line", found)


def calibration(checks: Checks, sim: Sim) -> None:
    rows = "".join(f"{m},4096,4096,{2 * m * 4096 * 4096 / 500e6}\n" for m in (128, 512, 2048, 8192, 32768))
    (sim.folder / "gemm.csv").write_text("m,n,k,us\n" + rows)
    text = sim.text("calibrate", "--machine", "H100", "--out", "mine.json", "--gemm", "gemm.csv")
    checks.that("gemm" in text and "mine.json" in text, "calibrate: says what it used and wrote", text)
    checks.that(sim.seconds("--machine", "mine.json") > 0, "calibrate: the profile can be used")
    place = Folder(checks, sim.folder / "calibrated")
    for what, content, word in (("no column", "m,n,us\n1,2,3\n", "k"), ("text", "m,n,k,us\n1,2,3,x\n", "x"),
                                ("a negative time", "m,n,k,us\n1,2,3,-1\n", "-1"), ("nothing", "", "empty")):
        (place.path / "bad.csv").write_text(content)
        place.refused(f"calibrate with {what}", [sim.tool, "calibrate", "--machine", "H100", "--out", "out.json", "--gemm", "bad.csv"],
                      "bad.csv", word)


def pages(checks: Checks, sim: Sim) -> None:
    for command in ("predict", "compare", "sweep", "sensitivity"):
        sim.run(command, "--html", f"{command}.html")
        page = (sim.folder / f"{command}.html").read_text()
        checks.that(page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>") and "<svg" in page,
                    f"{command} --html: a whole page", page[:200])
        checks.that("http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page,
                    f"{command} --html: needs no network")


def main() -> None:
    (folder,) = arguments("BIN_DIR", 1)
    checks = Checks()
    with temporary_folder() as place:
        sim = Sim(checks, program(folder, "apb-sim"), Path(place))
        for part in (help_and_needs, formats, other_commands, traces, properties, longest_prompts, work_counts, replays,
                     broken_machines, refusals, calibration, pages, strange_questions):
            part(checks, sim)
    checks.finish()


if __name__ == "__main__":
    main()
