#!/usr/bin/env python3
"""From a run of `apb scale`: a machine profile made of half of its points, and what the simulator is held to.

  hold_to_run.py RUN.json NAME [--sim PROGRAM] [--base MACHINE] [--configs FOLDER]

Writes configs/machines/NAME.json by `apb sim calibrate --half` (every other product, attention call and collective) and
configs/validation/NAME.json (all layers, their parts, the prefills, of which the profile knows none), prints how far off the
other half is, then runs `apb sim validate` on the set. Exit status: that of the last; 2 for a file that is no such run.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Bounds stand before anything is compared: those of the layers that were measured rank by rank, and 2 % more for exchanges.
BOUNDS = {"mean_error": 0.06, "worst_error": 0.15, "coverage": 0.7, "half_width": 0.15}
# What the simulator calls the parts that apb scale marks.
PARTS = {"QKV": ("qkv",), "retaining head": ("scores",), "selection": ("select",), "communication": ("wait",), "attention": ("attend",),
         "O": ("output",), "FFN": ("ffn",), "others": ("norms", "rope", "swiglu")}
LEAST_US = 20  # a shorter part is launches more than work
OVERLAPS = {"zigzag_ring": 1}  # the share of its exchange that a method runs beside computing


def setting(row: dict[str, Any]) -> dict[str, Any]:
    """What says which prefill a row is about."""
    found = {"method": row["method"], "ranks": row["num_ranks"], "doc_len": row["doc_len"]}
    found.update({key: row[key] for key in ("anchor_len", "num_kept") if row[key] and row["method"] in ("star", "apb")})
    if row["method"] in OVERLAPS:
        found["overlap"] = OVERLAPS[row["method"]]
    return found


def ms(us: float) -> float:
    return float(f"{us / 1e3:.4g}")


def parts_ms(row: dict[str, Any]) -> dict[str, float]:
    """The slowest rank of each part; of waiting the least, in which no rank waits for a slower one."""
    parts = {}
    for name, marked in PARTS.items():
        if name == "selection" and row["method"] != "apb":
            continue  # there it is the packing of messages, which the simulator does not count
        each = [sum(rank["parts_us"][part] for part in marked) for rank in row["ranks"] if rank["us"] > 0]
        us = min(each) if name == "communication" else max(each)
        if us >= LEAST_US:
            parts[name] = ms(us)
    return parts


def validation_set(run: dict[str, Any], name: str) -> dict[str, Any]:
    machine = run["machine"]
    layers = [row for row in run["layers"] if "us" in row]
    prefills = [row for row in run["prefills"] if "us" in row]
    model = layers[0]["model"].lower() if layers else prefills[0]["model"].lower()
    return {
        "schema": "apb-validation", "version": 1,
        "title": f"{machine['num_ranks']} {machine['gpus'][0]} over NCCL: layers by seven methods and prefills, all ranks together",
        "source": f"measured by this project on {machine['date']}: {machine['command']}; {machine['versions']}; medians of the slowest rank",
        "notes": ["The machine's tables hold every other product, attention call and collective of the same run, and none of these times.",
                  "A prefill's time is its layers back to back (the mean layer behind the first, times all).",
                  "Ulysses' queries, keys and values travel in one all-to-all here, in three as the simulator plans it; APB's all-gather "
                  "passes beside the anchor's attention here, not in the plan."],
        "machine": name, "model": model, "backend": "apb", "captured": True, "bounds": BOUNDS,
        "layers": [{**setting(row), "with_exchanges": True, "ms": ms(row["us"])} for row in layers],
        "prefill": [{**setting(row), "seconds": float(f"{row['layer_us'] * row['num_layers'] / 1e6:.4g}")} for row in prefills],
        "parts": [{**setting(row), "parts_ms": parts_ms(row)} for row in layers],
    }


def one_line_each(value: Any, depth: int = 0) -> str:
    """JSON as a person would write it: rows on a line of their own."""
    if not isinstance(value, (dict, list)) or depth == 2:
        return json.dumps(value)
    inner = [(f"{json.dumps(key)}: " if isinstance(value, dict) else "") + one_line_each(entry, depth + 1)
             for key, entry in (value.items() if isinstance(value, dict) else ((None, entry) for entry in value))]
    if depth == 1 and isinstance(value, dict):
        return json.dumps(value)
    begin, end = ("{", "}") if isinstance(value, dict) else ("[", "]")
    indent = "\n" + "  " * (depth + 1)
    return f"{begin}{indent}{f',{indent}'.join(inner)}\n{'  ' * depth}{end}"


def give_title(profile: Path, run: dict[str, Any]) -> None:
    """Calibration keeps the base's. How many GPUs and network cards a node has stays as there: a run may have had a part of one."""
    machine, text = run["machine"], profile.read_text()
    title = f"{machine['gpus'][0]}, this project's kernels; exchanges of {machine['num_ranks']} GPUs measured"
    before = json.loads(text)["title"]
    profile.write_text(text.replace(json.dumps(before, ensure_ascii=False), json.dumps(title), 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--sim", default=str(ROOT / "build" / "release" / "bin" / "apb-sim"))
    parser.add_argument("--base", default="H100-apb")
    parser.add_argument("--configs", type=Path, default=ROOT / "configs")
    options = parser.parse_args()
    run = json.loads(options.run.read_text())
    if run.get("schema") != "apb-bench" or "prefills" not in run or not run["layers"]:
        print(f"hold_to_run.py: {options.run}: holds no layers of apb scale", file=sys.stderr)
        return 2
    if run["machine"]["rehearsed"]:
        print(f"hold_to_run.py: warning: {options.run} is a rehearsal, its times mean nothing", file=sys.stderr)
    profile = options.configs / "machines" / f"{options.name}.json"
    checked = options.configs / "validation" / f"{options.name}.json"
    for path in (profile, checked):
        path.parent.mkdir(parents=True, exist_ok=True)
    note = f"{run['machine']['command']}, {run['machine']['date']}, {run['machine']['versions']}; what it leaves out is as on {options.base}"
    made = subprocess.run([options.sim, "calibrate", "--machine", options.base, "--bench", str(options.run), "--half", "--out", str(profile),
                           "--name", options.name, "--note", note])
    if made.returncode != 0:
        return made.returncode
    give_title(profile, run)
    rows = validation_set(run, options.name)
    if options.configs.resolve() != (ROOT / "configs").resolve():
        rows["machine"] = str(profile.resolve())  # the simulator does not know its name
    checked.write_text(one_line_each(rows) + "\n")
    print(f"{checked} written\n", flush=True)
    return subprocess.run([options.sim, "validate", str(checked)]).returncode


sys.exit(main())
