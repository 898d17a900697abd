#!/usr/bin/env python3
"""`apb sim` as a user runs it: every command, its formats, and what no answer may contradict.

  sim_answers_test.py BIN_DIR
"""
from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import subprocess
from typing import Any

from sim_program import METHODS, Sim, run_parts, sane
from tool_testing import ROOT, Checks, run

COMMANDS = ["predict", "compare", "sweep", "search", "sensitivity", "trace", "validate", "calibrate"]

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
    ["--ranks", "2", "--block-lens", "131072,0", "--anchor", "4096"], ["--replicate-cache"]
]
# Which methods use an option.
USERS = {"--anchor": {"star", "ape", "apb", "spava"}, "--keep": {"apb", "spava"}, "--compressor": {"apb", "spava"},
         "--overlap": {"ring", "zigzag_ring", "apb", "spava"}, "--block-lens": {"ring", "ulysses", "star", "ape", "apb"},
         "--replicate-cache": {"all_gather"}}


def help_and_needs(checks: Checks, sim: Sim) -> None:
    whole = sim.text("--help")
    for command in COMMANDS:
        checks.that(command in whole, f"--help must list {command}", whole)
        found = sim.text(command, "--help")
        checks.that("Usage: " in found and command in found, f"{command} --help must say how it is used", found)
    libraries = subprocess.run(["ldd", sim.tool], capture_output=True, text=True, check=False).stdout
    for library in ("libmpi", "libhdf5", "libcuda", "libnccl"):
        checks.that(library not in libraries, f"must not need {library}", libraries)


def order_changes(checks: Checks, found: Any, ranks: list[int], text: str) -> None:
    """Break-even lengths: all pairs, for every number of ranks but one, in the text as in JSON."""
    checks.equal([one["ranks"] for one in found], ranks, "compare: break-even lengths by ranks")
    for one in found:
        table = text.split(f"\n{one['ranks']} ranks\nfaster from")[1].split("\n\n")[0].splitlines()[1:4]
        for method, line in zip(("star", "apb", "spava"), table):
            cells = re.split(r"  +", line)[1:]
            pairs = [pair for pair in one["lengths"] if pair["approximate"] == method]
            checks.equal([pair["exact"] for pair in pairs], ["tensor_parallel", "ulysses", "all_gather", "zigzag_ring"], "compare: pairs")
            for pair, cell in zip(pairs, cells):
                tokens = pair["faster_from_tokens"]
                wanted = "cannot run" if not pair["both_run"] else "not at 4,194,304" if tokens is None else f"{tokens:,}"
                checks.equal(cell.replace(" or less", ""), wanted, f"compare: {method} against {pair['exact']} on {one['ranks']} ranks")
                checks.equal(" or less" in cell, tokens == 1024, "compare: where the search ends, it says so")


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
    answer = sim.answer(*words)
    compared = answer["comparisons"]
    text = sim.text(*words)
    order_changes(checks, answer["break_even"], [3, 8], text)
    two_nodes = ["--tokens", "128K", "--nics", "1", "--gpus-per-node", "4"]
    answer, network = sim.answer("compare", "--ranks", "3,8", *two_nodes), sim.text("compare", "--ranks", "3,8", *two_nodes)
    order_changes(checks, answer["break_even"], [3, 8], network)
    checks.equal([one["nic"] is not None for one in answer["break_even"]], [False, True], "compare: network cards matter beyond a node")
    speed = answer["break_even"][1]["nic"]["bytes_per_s"]
    checks.that(f"from {speed / 1e9:.3g} GB/s" in network, "compare: text and JSON agree on network cards", network)
    for factor, wins in ((0.97, False), (1.0, True)):
        times = {method: sim.seconds("--method", method, *two_nodes, "--nic-gbs", factor * speed / 1e9)
                 for method in ("apb", "full", "tensor_parallel", "ring", "zigzag_ring", "all_gather", "ulysses")}
        apb = times.pop("apb")
        checks.equal(apb < min(times.values()), wins, f"compare: APB at {factor} times that speed")
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
        checks.equal(row["standing"], one["standing"], f"{what}: standing")
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
    rows_of_slow_cards = csv.DictReader(io.StringIO(sim.text(*words, "--nic-gbs", "5", "--csv")))
    checks.that(all(float(row["nic_GB_per_s"]) == 5 for row in rows_of_slow_cards), "sweep: --nic-gbs counts")
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
    jobs = [json.dumps(one["job"]) for one in found["results"]]
    checks.equal(len(set(jobs)), len(jobs), "search: every configuration once")
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
        checks.that(widths == sorted(widths, reverse=True), "sensitivity: widest first", widths)
        wanted = {"GEMM rate", "attention rate", "memory-bound kernels", "kernel launches", "links inside a node"}
        if "full" not in words:
            wanted |= {"overlap of exchanges", "anchor length", "kept entries", "ranks"}
        if "16" in words:
            wanted.add("network cards")
        checks.equal({one["input"] for one in found["swings"]}, wanted, "sensitivity: every input that the method has")
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

    # All layers end when predict says, for a few tokens too.
    for method in METHODS:
        for tokens in ("3", "100", "1001", "32K"):
            words = ["--method", method, "--tokens", tokens]
            end = max(e["ts"] + e["dur"] for e in json.loads(sim.text("trace", *words, "--layers", 32))["traceEvents"] if e["ph"] == "X")
            prefill = 1e6 * sim.predict(*words)["prefill_s"]
            # Steps of a ring that predict times as one, where the document does not divide: docs/simulate.md, Speed.
            bound = 0.003 if method in ("ring", "zigzag_ring") and tokens == "1001" else 1e-9
            checks.that(math.isclose(end, prefill, rel_tol=bound), f"trace {words}: ends when predict says", (end, prefill))

    # Some of the ranks, and no more than a viewer can open.
    words = ["trace", "--method", "ring", "--ranks", "1024", "--layers", "1"]
    checks.refused(run([sim.tool, *words]), "a trace of a million steps", "500,000 intervals", "--show-ranks")
    checks.refused(run([sim.tool, "trace", "--method", "ring", "--ranks", "1025"]), "a trace of a wider ring", "ranks", "1025", "1024")
    checks.refused(run([sim.tool, "trace", "--show-ranks", "8"]), "a rank that there is not", "show-ranks", "8", "0 to 7")
    shown = json.loads(sim.text(*words, "--show-ranks", "0,1023"))["traceEvents"]
    checks.equal({e["pid"] for e in shown}, {0, 1023}, "trace: the ranks asked for")
    whole = json.loads(sim.text("trace"))["traceEvents"]
    checks.equal([e for e in whole if e["pid"] in (2, 5)], json.loads(sim.text("trace", "--show-ranks", "2,5"))["traceEvents"],
                 "trace: these ranks as in the whole")
    terminal, inside = os.openpty()
    found = subprocess.run([sim.tool, "trace"], stdout=inside, stderr=subprocess.PIPE, check=False)
    os.close(inside)
    os.close(terminal)
    checks.that(found.returncode == 2 and found.stderr.count(b"\n") == 1 and b"terminal" in found.stderr,
                "trace: not to a terminal", found.stderr)


def properties(checks: Checks, sim: Sim) -> None:
    for method in METHODS:
        times = [sim.seconds("--method", method, "--gpus-per-node", 4, "--nics", 2, "--nic-gbs", speed) for speed in (1, 10, 100, 1000)]
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

    # Where the search ends, nobody reads its end as an answer.
    end, marked = 2**28, f"at least {2**28:,}"
    words = ["--tokens", "1M", "--ranks", "1024"]
    compared = sim.answer("compare", *words)["comparisons"][0]["methods"]
    rows = list(csv.DictReader(io.StringIO(sim.text("compare", *words, "--csv"))))
    text = sim.text("compare", *words).splitlines()
    ended = [one["method"] for one in compared if one.get("longest_prompt_tokens") == end]
    checks.that("ring" in ended and "star" not in ended, "compare: a search that ends, and one that does not", ended)
    for one, row, line in zip(compared, rows, text[4:]):
        found = (one.get("longest_prompt_may_be_longer", False), row["longest_prompt_may_be_longer"] == "1", marked in line)
        checks.equal(found, (one["method"] in ended,) * 3, f"compare, {one['method']}: marked where its search ends")
    for method in ("ring", "star"):
        answer = sim.answer("predict", "--method", method, *words)
        text = sim.text("predict", "--method", method, *words)
        checks.equal((answer["longest_prompt_may_be_longer"], marked in text), (method == "ring",) * 2,
                     f"predict, {method}: marked where its search ends")


def ties(checks: Checks, sim: Sim) -> None:
    """Methods that take the same time are called equal, and overlapping bands indistinguishable."""
    def standings(*words: Any) -> tuple[dict[str, str], str, str]:
        compared = sim.answer("compare", *words)["comparisons"][0]
        return {one["method"]: one["standing"] for one in compared["methods"]}, compared["answer"], sim.text("compare", *words)

    found, answer, text = standings("--tokens", "1", "--ranks", "1")
    equal = [method for method in METHODS if method not in ("minference", "spava")]
    checks.equal(sorted(method for method, standing in found.items() if standing == "equally fast"), sorted(equal), "one rank: equal")
    checks.that("are equally fast" in answer and "fastest" not in text, "one rank: nobody is fastest", text)
    checks.equal(text.count("  equally fast\n"), len(equal), "one rank: said in the table")
    keeps_nothing = ["--anchor", 16384, "--keep", "0", "--compressor", "none", "--query", "0"]
    for machine in sorted(path.stem for path in (ROOT / "configs" / "machines").glob("*.json")):
        line = next(line for line in sim.text("predict", "--machine", machine, *keeps_nothing).splitlines() if line.startswith("Star "))
        checks.that(re.search(r"1\.00x +equal ", line), f"{machine}: APB that keeps nothing, with a block as anchor, equals Star", line)
    found, answer, text = standings("--tokens", "128K", "--ranks", "8")
    checks.that(found["spava"] == "fastest" and found["ape"] == "indistinguishable" and "indistinguishable from APE" in answer,
                "128K on 8 ranks: one is fastest, one cannot be told from it", answer)
    checks.that(re.search(r"^APE .* indistinguishable$", text, re.M), "128K on 8 ranks: said in the table", text)


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


def pages(checks: Checks, sim: Sim) -> None:
    for command in ("predict", "compare", "sweep", "sensitivity"):
        sim.run(command, "--html", f"{command}.html")
        page = (sim.folder / f"{command}.html").read_text()
        checks.that(page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>") and "<svg" in page,
                    f"{command} --html: a whole page", page[:200])
        checks.that("http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page,
                    f"{command} --html: needs no network")
        checks.that(f"./apb sim {command} --html {command}.html" in page, f"{command} --html: says how it was made")


def errors_told(checks: Checks, sim: Sim) -> None:
    """The errors that the README and docs/simulate.md tell are those of today."""
    sets = {one["set"]: one for one in sim.answer("validate")["sets"]}
    paper, kernels = sets["apb-paper"], sets["h100-apb-attention"]
    readme = (ROOT / "README.md").read_text()
    for line in (f"mean {100 * paper['mean_error']:.1f} %, worst {100 * paper['worst_error']:.1f} %; {100 * paper['coverage']:.0f} % inside "
                 f"the 80 % band, whose median half width is {100 * paper['median_half_width']:.1f} %",
                 f"mean {100 * kernels['mean_error']:.1f} %, worst {100 * kernels['worst_error']:.1f} % |"):
        checks.that(line in readme, "README: tells the errors of today", line)
    layers = [one for name, one in sets.items() if name.startswith("h100-layers-")]
    cells = [cell for one in layers for cell in one["cells"]]
    mean = sum(abs(cell["error"]) for cell in cells) / len(cells)
    line = f"| mean {100 * mean:.1f} %, worst {100 * max(one['worst_error'] for one in layers):.1f} %; all inside the 80 % band"
    checks.that(len(cells) == 60 and line in readme, "README: tells the errors of whole layers", line)
    checks.that(all(cell["fit"] is None for cell in cells), "validate: a layer says nothing of memory")
    docs = (ROOT / "docs" / "simulate.md").read_text()
    line = f"mean error {100 * paper['mean_error']:.1f} %, worst {100 * paper['worst_error']:.1f} %"
    checks.that(line in docs, "docs/simulate.md: tells the errors of today", line)


def strange_questions(checks: Checks, sim: Sim) -> None:
    """Every method answers sanely, or refuses in one line: always what it does not use."""
    for words in STRANGE:
        users = set(METHODS).intersection(*(USERS[word] for word in words if word in USERS))
        answered = 0
        for method in METHODS:
            what = " ".join([method, *words])
            result = run([sim.tool, "predict", "--method", method, *words, "--json"])
            if method not in users:
                checks.refused(result, what, "|".join(word[2:] for word in words if word in USERS), f"left out with {method}")
                continue
            if result.status == 2:
                checks.refused(result, what)
                continue
            checks.right(result, what)
            answered += 1
            sane(checks, what, result.json()["prediction"])
        checks.that(answered >= min(5, len(users)), f"{words}: most methods must answer, {answered} of {users} do")
        if "apb" in users:
            sim.run("predict", *words)


if __name__ == "__main__":
    run_parts(help_and_needs, formats, other_commands, traces, properties, longest_prompts, ties, work_counts, pages, errors_told, strange_questions)
