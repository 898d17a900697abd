"""The program of `apb sim`, and checks that every answer of it must pass."""
from __future__ import annotations

import json
import math
import os
import resource
from pathlib import Path
from typing import Any, Callable

from tool_testing import Checks, Result, arguments, program, run, temporary_folder

METHODS = ["full", "tensor_parallel", "minference", "ring", "zigzag_ring", "all_gather", "ulysses", "star", "ape", "apb",
           "spava"]


def processor_seconds() -> float:
    """What ended children have used of the processors: unlike the clock, it does not count other programs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Sim:
    """The program, and checks that every answer must pass."""

    def __init__(self, checks: Checks, tool: Path, folder: Path) -> None:
        self.checks, self.tool, self.folder = checks, tool, folder

    def run(self, *words: Any) -> Result:
        before = processor_seconds()
        result = run([self.tool, *words], cwd=self.folder)
        spent = processor_seconds() - before
        self.checks.right(result, "a question that can be answered")
        self.checks.that(spent < (os.cpu_count() or 1), f"must take less than a second of all processors, takes {spent:.2f}", result)
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


def run_parts(*parts: Callable[[Checks, Sim], None]) -> None:
    """The whole of a test: its parts, one after the other, on the program in BIN_DIR."""
    (folder,) = arguments("BIN_DIR", 1)
    checks = Checks()
    with temporary_folder() as place:
        sim = Sim(checks, program(folder, "apb-sim"), Path(place))
        for part in parts:
            part(checks, sim)
    checks.finish()
