#!/usr/bin/env python3
"""What `apb sim` refuses, and how: questions, machines, sets of published times, timings of one's own.

  sim_refusals_test.py BIN_DIR
"""
from __future__ import annotations

import copy
import json
import subprocess
from typing import Any, Callable

from refusals import Folder
from sim_program import Sim, run_parts
from tool_testing import ROOT, Checks, Result, run

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
    (["--machine", "MI300X", "--backend", "cudnn"], ["cudnn", "no attention table"]),
    (["--method", "ulysses", "--ranks", "3"], ["ranks", "3", "8"]),
    (["--method", "ulysses", "--ranks", "16"], ["ranks", "16", "8"]),
    (["--method", "tensor_parallel", "--ranks", "3"], ["ranks", "3", "32"]),
    (["--block-lens", "16384,16384"], ["block_lens", "2 lengths", "8"]),
    (["--ranks", "2", "--block-lens", "65536,65535"], ["block_lens", "131071", "131072"]),
    (["--ranks", "2", "--block-lens", "131073,-1"], ["block-lens", "-1"]),
    *((["--method", method, "--ranks", "2", "--block-lens", "65536,65536"], ["block-lens = 65536,65536", method])
      for method in ("zigzag_ring", "all_gather", "spava", "full", "tensor_parallel", "minference")),
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
    whole = json.dumps(h100)
    for part in (1, 2, 3):
        refused(f"only {part} quarters of it", whole[:part * len(whole) // 4], "JSON object")
    refused("NaN", whole.replace("989.4", "NaN"), "JSON object")
    refused("a number beyond all", whole.replace("989.4", "1e999"), "JSON object|values.peak")
    refused("a key twice", whole.replace('"peak": {', '"peak": {}, "peak": {', 1), "peak", "twice")
    refused("a huge integer", whole.replace("989.4", "9" * 30), "values.peak", "another unit")
    refused("an escape sequence", changed(lambda m: m.update(title="H100 \x1b[31m")), "title", "control")
    refused("a long text for a number", changed(lambda m: m["values"]["peak"].update(value="9" * 100_000)), "values.peak.value")
    for what, content in (("in UTF-16", whole.encode("utf-16")), ("of zeros", bytes(1000)), ("of other bytes", whole.encode()[:500] + b"\xff\xfe")):
        (place.path / "m.json").write_bytes(content)
        place.refused(f"a machine {what}", [sim.tool, "predict", "--machine", "m.json"], "m.json", "JSON object")
    (place.path / "m.json").unlink()
    (place.path / "m.json").mkdir()
    place.refused("a machine that is a folder", [sim.tool, "predict", "--machine", "m.json"], "m.json")
    (place.path / "m.json").rmdir()
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
    refused("no efficiency", changed(lambda m: m["values"]["nic_efficiency"].update(value=5e-324)), "values.nic_efficiency")
    refused("per cent for a share", changed(lambda m: m["values"]["gemm_efficiency"].update(value=85)), "values.gemm_efficiency")
    refused("a sparse peak", changed(lambda m: m["values"]["peak"].update(value=1979)), "values.peak", "sparse")
    refused("both directions of a link", changed(lambda m: m["values"]["link_bandwidth"].update(value=900)), "link_bandwidth", "both")
    refused("a table twice", changed(lambda m: m["tables"]["collectives"].append(m["tables"]["collectives"][0])),
            r"tables.collectives\[7\]", r"tables.collectives\[0\]")
    refused("times that fall", changed(lambda m: m["tables"]["collectives"][0]["rows"][2].__setitem__(1, 9)), r"collectives\[0\].rows\[2\]")
    refused("no collectives' list", changed(lambda m: m["tables"].pop("collectives")), "tables.collectives", "missing")

    # What may be is said on stderr, as a warning, and answered.
    for what, change, word in (("no collectives", lambda m: m["tables"].update(collectives=[]), b"tables.collectives"),
                               ("a row twice", lambda m: m["tables"]["gemm"][0]["rows"].append(m["tables"]["gemm"][0]["rows"][0]),
                                b"counts twice")):
        (place.path / "m.json").write_text(json.dumps(changed(change)))
        result = run([sim.tool, "predict", "--machine", "m.json"], cwd=place.path)
        checks.that(result.status == 0 and all(line.startswith("apb-sim: warning: m.json: ") for line in result.error_lines()) and
                    word.decode() in result.err, f"a machine with {what}: a warning", result)


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
                          (["compare", "--json", "--csv"], "--json"), (["sweep", "--csv", "--json"], "--csv"),
                          (["sweep", "--model", "H100", "--models", "H100"], "--models"), (["search", "--tp", "2"], "--tp"),
                          (["sweep", "--nic-gbs", "1", "--nics-gbs", "2"], "--nics-gbs"),
                          (["calibrate", "--machine", "H100", "--out", "x.json", "--ranks", "4"], "--nccl-tests"),
                          (["compare", "--anchor", "1K,2K"], "anchor = 1K,2K"), (["compare", "--keep", "1K,2K"], "keep = 1K,2K"),
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

    def refused(what: str, option: str, name: str, content: bytes, *words: str) -> None:
        (place.path / name).write_bytes(content)
        place.refused(f"calibrate {option} with {what}", [sim.tool, "calibrate", "--machine", "H100", "--out", "out.json", option, name],
                      name, *words)

    whole = b"m,n,k,us\n" + rows.encode()
    for what, content, word in (("no column", b"m,n,us\n1,2,3\n", "k"), ("text", b"m,n,k,us\n1,2,3,x\n", "x"),
                                ("a negative time", b"m,n,k,us\n1,2,3,-1\n", "-1"), ("nothing", b"", "empty"),
                                ("a header only", b"m,n,k,us\n", "no measurement"), ("NaN", b"m,n,k,us\n1,2,3,nan\n", "nan"),
                                ("half a row", b"m,n,k,us\n8192,4096", "line 2: 2 values"), ("semicolons", whole.replace(b",", b";"), "column"),
                                ("no time at all", b"m,n,k,us\n4096,4096,4096,1e-300\n", "us = 1e-300"),
                                ("milliseconds", whole.replace(b",4096,4096,", b",4096000,4096,"), "4096000.*of the peak"),
                                ("other bytes", b"\xff\xfe\x00" + whole, "no column m"), ("a line without end", b"x" * 1_000_000, "xxx")):
        refused(what, "--gemm", "bad.csv", content, word)
    refused("another mask", "--attention", "bad.csv", b"mask,q_len,kv_len,q_heads,kv_heads,head_dim,us\nband,8,8,1,1,64,1\n", "mask", "band")
    for what, content, word in (("nothing", b"", "no measurement"), ("a page", b"<html>404</html>", "no measurement"),
                                ("zeros", bytes(100), "no measurement")):
        refused(what, "--nccl-tests", "bad.log", content, word)
    for what, content, word in (("nothing", b"", "JSON"), ("half of it", b'{"schema": "apb-bench", "version": 1', "JSON"),
                                ("another schema", b'{"schema": "apb-machine", "version": 1, "machine": 1, "gemm": [], "attention": [], '
                                 b'"collectives": []}', "schema"),
                                ("no rows", b'{"schema": "apb-bench", "version": 1, "machine": 1, "gemm": [], "attention": [], '
                                 b'"collectives": []}', "no measurement")):
        refused(what, "--bench", "bad.json", content, word)
    for option in ("--gemm", "--attention", "--nccl-tests", "--bench"):
        place.refused(f"calibrate {option} with a folder", [sim.tool, "calibrate", "--machine", "H100", "--out", "out.json", option, "."], r"\.")
    (place.path / "marked.csv").write_bytes(b"\xef\xbb\xbf" + whole)  # as spreadsheets write it
    checks.right(run([sim.tool, "calibrate", "--machine", "H100", "--out", "out.json", "--gemm", "marked.csv"], cwd=place.path), "a marked CSV")


if __name__ == "__main__":
    run_parts(replays, broken_machines, refusals, calibration)
