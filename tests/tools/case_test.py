#!/usr/bin/env python3
"""apb-case: what it writes is what docs/case-files.md says and true, what is broken is refused, nothing is half-written.

  case_test.py BIN_DIR

Files are judged by case_files.py (h5py and numpy), which needs $APB_PYTHON; without it only the rest runs.
"""
from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

from tool_testing import ROOT, Checks, arguments, environment, folder_listing, program, python_with, run, temporary_folder

CASE_FILES = Path(__file__).resolve().parent / "case_files.py"
SMALL = ["--doc-len", 31, "--ranks", 3, "--anchor", 4, "--query-len", 3, "--keep", 3, "--q-heads", 4, "--kv-heads", 2,
         "--head-dim", 8]
WHOLE = ["--with-expected", "--decode"]
PRECISIONS = ("float64", "float32", "bfloat16", "float16")
ADVERSARIES = ("huge-logits", "tiny-logits", "ties", "signed-zeros", "nan-outside", "off-tile", "empty-segments")
TOP_K_ADVERSARIES = ("shared-8-bits", "shared-16-bits", "more-ties-than-kept", "relu-zeros", "all-equal", "nan-winners")
PRESETS = {"llama3-8b-32k": 512, "llama3-8b-64k": 1024, "llama3-8b-128k": 2048, "llama3-8b-256k": 4096,
           "llama3-8b-512k": 8192, "qwen2.5-14b-128k": 2048, "yi-34b-128k": 2048}  # entries kept a rank



def small(*words: object) -> list[object]:
    """SMALL, less the options that `words` give otherwise, and `words`."""
    kept = [word for name, value in zip(SMALL[::2], SMALL[1::2]) if name not in words for word in (name, value)]
    return [*kept, *words]


# What to add to apb-case, and what its refusal must say.
REFUSED_LINES: list[tuple[list[object], list[str]]] = [
    ([], ["OUT is missing"]),
    (["o.h5", "--random", "--preset", "llama3-8b-32k", "--rank", 0], ["--random", "--preset"]),
    (["o.h5", "--preset", "llama4"], ["--rank is missing|preset = llama4"]),
    (["o.h5", "--preset", "llama4", "--rank", 0], ["preset = llama4", *PRESETS]),
    (["o.h5", "--preset", "llama3-8b-32k"], ["--rank"]),
    (["o.h5", "--preset", "llama3-8b-32k", "--rank", 8], ["rank = 8", "between 0 and 7"]),
    (["o.h5", "--preset", "llama3-8b-32k", "--rank", 0, "--decode"], ["--decode", "--preset"]),
    (["o.h5", "--preset", "llama3-8b-32k", "--rank", 0, "--method", "star"], ["--preset", "method"]),
    (["o.h5", "--adversarial", "rude"], ["adversarial = rude", *ADVERSARIES, *TOP_K_ADVERSARIES]),
    (["o.h5", "--adversarial", "shared-16-bits", "--dtype", "bfloat16"], ["dtype = bfloat16", "float32 or float64"]),
    (["o.h5", "--adversarial", "relu-zeros", "--compressor", "recent"], ["compressor = recent", "query_aware", "relu"]),
    (["o.h5", "--dtype", "float8"], ["float8", *PRECISIONS]),
    (["o.h5", "--method", "ring"], ["method = ring", "full, star, apb"]),
    (["o.h5", "--preset", "llama3-8b-32k", "--rank", 0, "--compressor", "recent"], ["compressor = recent", "query_aware"]),
    (["o.h5", "--adversarial", "ties", "--compressor", "random"], ["compressor = random", "query_aware", "ties"]),
    (["o.h5", "--heads", "heads.h5"], ["--heads goes only with --text"]),
    (["o.h5", "--layer", 1], ["--layer goes only with --text"]),
    (["o.h5", "--toy"], ["--toy goes only with --text"]),
    (["o.h5", "--text", "text", "--toy", "--query", "Who?", "--weights", "w.h5"], ["--weights", "--toy"]),
    (["o.h5", "--text", "text", "--toy", "--query", "Who?", "--compressor", "retaining_head"], ["--heads is missing"]),
    (["o.h5", "--text", "text", "--toy", "--query", "Who?", "--heads", "h.h5"], ["compressor = query_aware", "--heads"]),
    (["--check", "text", "--doc-len", 4], ["--doc-len does not go with --check"]),
    (["--check", "text", "o.h5"], ["OUT does not go with --check"]),
    (["--check", "text", "--sample", 0], ["--sample: 0: must be a whole number from 1 to"]),
    (["o.h5", "--ranks", 0], ["num_ranks = 0", "between 1 and"]),
    (["o.h5", "--doc-len", -1], ["doc_len = -1"]),
    (["o.h5", "--doc-len", "nan"], [r"--doc-len: nan: must be a whole number \(see"]),
    (["o.h5", "--doc-len", 10, "--anchor", 4], ["anchor_len = 4", "3 tokens"]),
    (["o.h5", "--q-heads", 3], ["num_q_heads = 3", "multiple"]),
    (["o.h5", "--head-dim", 0], ["head_dim = 0"]),
    (["o.h5", "--seed", -1], ["seed"]),
    (["o.h5", "--only-rank", 4], ["rank = 4", "between 0 and 3"]),
    (["o.h5", "--decode", "--query-len", 0, "--compressor", "random"], ["query-len = 0", "--decode"]),
    (["o.h5", "--query", "Who?"], ["--query", "--text"]),
    (["o.h5", "--text", "text", "--toy"], ["--query is missing"]),
    (["o.h5", "--text", "none", "--toy", "--query", "Who?"], ["none: cannot be read"]),
    (["o.h5", "--text", "text", "--toy", "--query", "Who?", "--layer", 4], ["layer = 4", "between 0 and 3"]),
    (["o.h5", "--text", "text", "--query", "Who?", "--weights", "none.h5"], ["none.h5: no such file"]),
    (["folder"], ["folder", "must be a file"]),
    (["none/o.h5"], ["none/o.h5", "folder missing"]),
    (["/dev/full"], ["/dev/full", "device"]),
    (["--sample", -1], ["--sample: -1: must be a whole number from 1 to"]),
    (["--sample", "99999999999999999"], ["--sample: 99999999999999999: must be a whole number from 1 to"]),
    (["o.h5", "--sample", 4], ["OUT does not go with --sample"]),
    (["o.h5", "--text", "", "--query", "Who?"], ["--text: is empty"]),
    (["o.h5", "--preset", ""], ["--preset: is empty"]),
    (["--check", ""], ["--check: is empty"]),
    (["--check", "none.h5"], ["none.h5: no such file"]),
    (["--check", "text"], ["text: not an HDF5 file"]),
    (["--check", "empty"], ["empty: not an HDF5 file"]),
    (["--check", "folder"], ["folder: is a folder"]),
]


class Cases:
    def __init__(self, checks: Checks, tool: Path, python: Optional[str], folder: Path) -> None:
        self.checks, self.tool, self.python, self.folder = checks, tool, python, folder

    def write(self, *words: object, name: str = "case.h5", timeout: float = 300) -> Path:
        path = self.folder / name
        what = " ".join(map(str, words))
        made = run([self.tool, path, *words], timeout=timeout)
        if self.checks.right(made, what):
            checked = run([self.tool, "--check", path], timeout=timeout)
            self.checks.right(checked, f"{what}: --check")
            self.checks.that(made.out.startswith(checked.out), f"{what}: both must print the same", made)
            self.checks.that(len(checked.out.splitlines()) <= 24, f"{what}: one screen", checked.out)
        return path

    def judge(self, path: Path, what: str) -> None:
        if self.python is None:
            return
        result = run([self.python, CASE_FILES, "judge", path], timeout=300)
        if self.checks.right(result, f"{what}: judged"):
            verdict = result.json()
            self.checks.equal(verdict["faults"], [], what)
            self.checks.that(verdict["checked"] > 20, f"{what}: must have something to check", verdict)


def right_cases(cases: Cases) -> None:
    for precision in PRECISIONS:
        cases.judge(cases.write("--random", *SMALL, *WHOLE, "--dtype", precision), f"precision {precision}")
    for adversary in ADVERSARIES:
        words = ["--adversarial", adversary, "--head-dim", 16, "--dtype", "float16", *WHOLE]
        cases.judge(cases.write(*words), adversary)
    for adversary in TOP_K_ADVERSARIES:
        lengths = ["--block-lens", "700,300", "--keep", 120]
        cases.judge(cases.write("--adversarial", adversary, *lengths, *WHOLE), adversary)
        cases.judge(cases.write("--adversarial", adversary, *lengths, "--pool", 5), f"{adversary}, pooled")
    for words in (["--method", "star"], ["--method", "full"], ["--compressor", "random"],
                  ["--compressor", "retaining_head"], ["--compressor", "retaining_head", "--pool", 1, "--dtype", "float32"],
                  ["--compressor", "retaining_head", "--ranks", 1], ["--compressor", "recent"],
                  ["--compressor", "none", "--keep", 0], ["--keep", 0], ["--keep", 1000], ["--pool", 1], ["--anchor", 0],
                  ["--ranks", 1], ["--doc-len", 0, "--anchor", 0], ["--doc-len", 2, "--anchor", 1],
                  ["--embedded-query", 1], ["--convention", "official", "--query-insert-at", 1],
                  ["--block-lens", "11,0,20"], ["--block-lens", "4,27,0"], ["--seed", 2**63 - 1]):
        cases.judge(cases.write(*small(*WHOLE, *words)), str(words))
    for rank in range(3):
        cases.judge(cases.write(*SMALL, *WHOLE, "--only-rank", rank), f"only rank {rank}")


def adversaries_hurt(cases: Cases) -> None:
    """What makes each kind special is really there."""
    if cases.python is None:
        return
    look = """
import sys, h5py, numpy as np
folder = sys.argv[1]
def of(kind): return h5py.File(f"{folder}/{kind}.h5", "r")["rank_1"]
huge, tiny, ties, zeros, nan = map(of, ("huge-logits", "tiny-logits", "ties", "signed-zeros", "nan-outside"))
anchor = int(nan.attrs["anchor_rows"])
print((huge["lse"][...] > 1e4).all(), (tiny["lse"][...] < -1e3).all(),
      len(np.unique(ties["importance"][:, 0])) <= 3 < ties["importance"].shape[0],
      {True, False} == set(np.signbit(zeros["importance"][...][zeros["importance"][...] == 0]).tolist()),
      np.isnan(nan["key"][-1]).all() and np.isfinite(nan["key"][:-1]).all(),
      np.isfinite(nan["out"][:-1]).all() and np.isnan(nan["out"][-1]).all())
"""
    for adversary in ADVERSARIES[:5]:
        cases.write("--adversarial", adversary, "--with-expected", name=f"{adversary}.h5")
    result = run([cases.python, "-c", look, cases.folder])
    cases.checks.equal(result.out.decode().split(), ["True"] * 6, "adversarial kinds", result)


def selections_hurt(cases: Cases) -> None:
    """What makes the scores of each kind special is really there, in heads of thousands and of a million."""
    if cases.python is None:
        return
    look = """
import sys, h5py, numpy as np
kind, path = sys.argv[1:]
group = h5py.File(path, "r")["rank_0"]
first = int(group["doc_pos"][0])
holds = []
for head, kept in enumerate(group["kept_positions"][...] - first):
    scores = group["importance"][:, head][16:].astype(np.float32)  # 16 are in the anchor
    won = group["importance"][:, head][kept]
    numbers, bits = scores[~np.isnan(scores)], scores.view(np.uint32)
    border = won[~np.isnan(won)].min()
    equal, equal_kept = (numbers == border).sum(), (won == border).sum()
    signs = set(np.signbit(won[won == 0]).tolist())
    holds.append({
        "shared-8-bits": len(np.unique(bits)) > 5000 and len(np.unique(bits >> 24)) == 1,
        "shared-16-bits": len(np.unique(bits)) == min(len(bits), 65536) and len(np.unique(bits >> 16)) == 1,
        "more-ties-than-kept": 0 < equal_kept < len(won) and len(won) < equal,
        "relu-zeros": border == 0 and 0 < equal_kept < equal and signs == {True, False} and numbers.max() > 0,
        "all-equal": len(np.unique(scores)) == 1,
        "nan-winners": signs == {True, False} and np.isnan(scores).any() and np.isnan(won).any() == (head % 2 == 1),
    }[kind])
print(all(holds), len(holds))
"""
    kinds = [(kind, [], 2) for kind in TOP_K_ADVERSARIES]
    kinds += [(kind, ["--block-lens", "1000016,4", "--only-rank", 0, "--q-heads", 1, "--kv-heads", 1, "--head-dim", 8], 1)
              for kind in ("shared-16-bits", "more-ties-than-kept")]
    for kind, words, heads in kinds:
        path = cases.write("--adversarial", kind, *words)
        result = run([cases.python, "-c", look, kind, path])
        cases.checks.equal(result.out.decode().split(), ["True", str(heads)], f"{kind} {words}", result)


def same_seed(cases: Cases) -> None:
    first = cases.write(*SMALL, "--seed", 4, name="first.h5").read_bytes()
    cases.checks.that(cases.write(*SMALL, "--seed", 4).read_bytes() == first, "the same seed gives the same file")
    cases.checks.that(cases.write(*SMALL, "--seed", 5).read_bytes() != first, "another seed gives another file")


def idle_options(cases: Cases) -> None:
    """What changes nothing is said, and no score is made for nothing."""
    text = ["--text", cases.folder / "text", "--query", "Who?", "--toy", "--ranks", 2]
    (cases.folder / "text").write_bytes(b"0123456789" * 4)
    pool, seed = "--pool changes nothing: nothing is selected", "--seed changes nothing: no random number is drawn"
    for words, wanted in (
        ([*SMALL, "--pool", 3, "--seed", 3], []), ([*small("--keep", 0), "--pool", 3], [pool]),
        ([*SMALL, "--method", "star", "--pool", 3], ["method star does not use --keep", pool]),
        ([*small("--ranks", 1), "--pool", 3, "--seed", 3], [pool]), ([*text, "--seed", 3], [seed]),
        ([*text, "--seed", 3, "--compressor", "random"], []), ([*text, "--pool", 3, "--keep", 0], [pool])):
        path = cases.folder / "case.h5"
        result = run([cases.tool, path, *words])
        cases.checks.right(result, f"{words}")
        cases.checks.equal(result.error_lines(), [f"apb-case: note: {line}" for line in wanted], f"{words}: notes")
    result = run([cases.tool, "--check", path, "--seed", 3])
    cases.checks.equal(result.error_lines(), [f"apb-case: note: {seed}"], "--check with a seed but no sample")
    without = run([cases.tool, path, *small("--keep", 0)])
    cases.checks.that("score_query" not in without.out.decode(), "nothing kept: no query is sent to score with", without)


def presets(cases: Cases) -> None:
    path = cases.write("--preset", "llama3-8b-32k", "--rank", 1, name="preset.h5")
    cases.judge(path, "preset")
    path.unlink()
    for name, kept in PRESETS.items():
        result = run([cases.tool, "--preset", name, "--rank", 7, "--sample", 300])
        if cases.checks.right(result, name):
            head, _, rows = result.out.decode().partition(": ")
            cases.checks.equal((head, len(rows.split())), ("rank 7", 300), f"{name}: sampled rows")


def samples(cases: Cases) -> None:
    path = cases.write(*SMALL)
    from_file = run([cases.tool, "--check", path, "--sample", 5, "--seed", 3])
    from_words = run([cases.tool, *SMALL, "--sample", 5, "--seed", 3])
    cases.checks.right(from_file, "sample of a file")
    cases.checks.equal(from_words.out, from_file.out, "samples by file and by words")
    lines = from_file.out.decode().splitlines()
    rows = [list(map(int, line.split(": ")[1].split())) for line in lines]
    cases.checks.equal([len(each) for each in rows], [11, 18, 16], "small ranks are sampled whole")
    cases.checks.that(all(each == sorted(set(each)) for each in rows), "rows ascend, each once", lines)


def model_cases(cases: Cases) -> None:
    (cases.folder / "text").write_bytes(bytes(33 + (i * i * 7 + i // 11) % 90 for i in range(60)))
    for layer in (0, 3):
        words = ["--text", cases.folder / "text", "--query", "Who?", "--toy", "--layer", layer, "--ranks", 3,
                 "--with-expected"]
        for precision in ("float32", "bfloat16"):
            path = cases.write(*words, "--dtype", precision)
            cases.judge(path, f"toy model, layer {layer}, {precision}")
    one = cases.write(*words, name="again.h5").read_bytes()
    cases.checks.that(cases.write(*words).read_bytes() == one, "a model's case is the same every time")
    for layer in (0, 2):
        path = cases.write("--text", cases.folder / "text", "--query", "Who?", "--toy", "--layer", layer, "--ranks", 3,
                           *WHOLE, "--dtype", "bfloat16")
        cases.judge(path, f"toy model, layer {layer}, with its query pass")


def query_pass_of_model(cases: Cases) -> None:
    """The query's rows are the model's own: what a prefill by one rank has for the same tokens at the same positions."""
    if cases.python is None:
        return
    document, question = "It was a dark and stormy night; the rain fell.", "What fell?"
    (cases.folder / "text").write_text(document)
    (cases.folder / "all").write_text(document + question)
    look = """
import sys, h5py, numpy as np
asked, whole = (h5py.File(f"{sys.argv[1]}/{name}.h5") for name in ("asked", "whole"))
rows = asked["decode/query"].shape[0]
print(np.abs(asked["decode/query"][...] - whole["rank_0/query"][-rows:]).max() < 1e-4,
      np.abs(asked["decode/rank_0/key"][...] - whole["rank_0/key"][...]).max() < 1e-4,
      asked["decode/rank_0/key"].shape == whole["rank_0/key"].shape)
"""
    for layer in (0, 3):
        same = ["--toy", "--method", "full", "--ranks", 1, "--layer", layer]
        cases.write("--text", cases.folder / "text", "--query", question, *same, "--decode", name="asked.h5")
        cases.write("--text", cases.folder / "all", "--query", "?", *same, name="whole.h5")
        cases.checks.equal(run([cases.python, "-c", look, cases.folder]).out.decode().split(), ["True"] * 3,
                           f"query pass of layer {layer} against a prefill of text and query")


def retaining_heads_of_model(cases: Cases) -> None:
    if python_with("h5py", "numpy", "tokenizers") is None:
        return
    (cases.folder / "text").write_bytes(bytes(33 + (i * i * 7 + i // 11) % 90 for i in range(60)))
    heads = cases.folder / "heads.h5"
    imported = run([cases.python, "-B", ROOT / "reference/tools/import/import.py", "heads", ROOT / "tests/golden/heads/heads.bin",
                    heads])
    cases.checks.right(imported, "import of heads")
    for layer in (0, 3):
        words = ["--text", cases.folder / "text", "--query", "Who?", "--toy", "--layer", layer, "--ranks", 3,
                 "--compressor", "retaining_head", "--heads", heads, *WHOLE]
        for precision in ("float32", "bfloat16"):
            cases.judge(cases.write(*words, "--dtype", precision), f"retaining heads, layer {layer}, {precision}")


def scaled_rope(cases: Cases) -> None:
    """A model's RoPE scaling reaches its case: without it keys turn by other angles, values are the same."""
    if python_with("h5py", "numpy", "tokenizers") is None:
        return
    (cases.folder / "text").write_text("The grass is green. The sky is blue. " * 4)
    scaled, plain = cases.folder / "scaled.h5", cases.folder / "plain.h5"
    imported = run([cases.python, "-B", ROOT / "reference/tools/import/import.py", "hf", ROOT / "tests/golden/hf_llama_28_4",
                    scaled])
    if not cases.checks.right(imported, "import of a model with scaled RoPE"):
        return
    shutil.copyfile(scaled, plain)
    unscale = "import sys, h5py, numpy; h5py.File(sys.argv[1], 'r+').attrs['rope_scaling'] = numpy.bytes_('none')"
    cases.checks.right(run([cases.python, "-c", unscale, plain]), "the same model without scaling")
    for weights in (scaled, plain):
        cases.write("--text", cases.folder / "text", "--query", "Who?", "--weights", weights, "--layer", 0,
                    "--ranks", 2, name=f"{weights.stem}_case.h5")
    look = """
import sys, h5py, numpy as np
scaled, plain = (h5py.File(f"{sys.argv[1]}/{name}_case.h5")["rank_1"] for name in ("scaled", "plain"))
print(*(np.array_equal(scaled[name][...], plain[name][...]) for name in ("query", "key", "value")))
"""
    cases.checks.equal(run([cases.python, "-c", look, cases.folder]).out.decode().split(), ["False", "False", "True"],
                       "query, key and value with and without scaling are the same")


def rewritten(cases: Cases) -> None:
    path = cases.write(*SMALL, *WHOLE)
    shown = run([cases.tool, "--check", path]).out.replace(b"case.h5", b"copy.h5")
    copy = cases.folder / "copy.h5"

    def same(what: str) -> None:
        result = run([cases.tool, "--check", copy])
        cases.checks.right(result, what)
        cases.checks.equal(result.out, shown, what)
        cases.judge(copy, what)

    if cases.python is not None:
        cases.checks.right(run([cases.python, CASE_FILES, "rewrite", path, copy]), "rewritten by h5py")
        same("rewritten by h5py: chunks, gzip, strings of variable length, one more group")
    if shutil.which("h5repack") is None:
        print("h5repack is not here (Debian: hdf5-tools): its part is left out")
        return
    # h5repack itself fails on filters for empty datasets, unless it is told to leave them out (-m).
    for filters in (["-m", "1", "-f", "GZIP=6"], ["-m", "1", "-f", "SHUF", "-f", "GZIP=1"], ["-l", "CONTI"], ["-L"]):
        copy.unlink(missing_ok=True)
        cases.checks.right(run(["h5repack", *filters, path, copy]), f"h5repack {filters}")
        same(f"h5repack {filters}")


def refused_lines(cases: Cases) -> None:
    (cases.folder / "folder").mkdir()
    (cases.folder / "text").write_bytes(b"0123456789" * 4)
    (cases.folder / "empty").write_bytes(b"")
    before = folder_listing(cases.folder)
    for words, expected in REFUSED_LINES:
        what = "apb-case " + " ".join(map(str, words))
        cases.checks.refused(run([cases.tool, *words], cwd=cases.folder), what, *expected)
        cases.checks.equal(folder_listing(cases.folder), before, f"{what}: files")


def broken_files(cases: Cases) -> None:
    path = cases.write(*SMALL, *WHOLE)
    whole = path.read_bytes()
    cut = cases.folder / "cut.h5"
    for size in [*range(0, len(whole), 997), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        cases.checks.refused(run([cases.tool, "--check", cut]), f"cut to {size} bytes", "cut.h5: ")
    if cases.python is None:
        return
    made = run([cases.python, CASE_FILES, "broken", path, cases.folder])
    if not cases.checks.right(made, "broken copies"):
        return
    for name, words in made.json().items():
        result = run([cases.tool, "--check", cases.folder / name])
        cases.checks.refused(result, f"broken: {name}", name, *words)
        cases.checks.that(result.seconds < 30, f"broken: {name}: must not hang", result)


def small_files_only(limit: int) -> None:
    """To be called in a child process: no file may grow beyond the limit, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def nothing_half_written(cases: Cases) -> None:
    words = ["--doc-len", 2048, "--anchor", 64, "--keep", 64]
    path = cases.folder / "whole.h5"
    for limit in (0, 1000, 100_000, 1_000_000):
        result = run([cases.tool, path, *words], preexec_fn=lambda: small_files_only(limit))  # noqa: B023
        cases.checks.refused(result, f"disk full after {limit} bytes", "whole.h5", status=3 if limit else result.status)
        cases.checks.that(result.status in (2, 3), f"disk full after {limit} bytes", result)
        cases.checks.equal([name for name in folder_listing(cases.folder) if "whole" in name], [], f"files at {limit}")
    cases.write(*words, name="whole.h5")
    old = path.read_bytes()
    result = run([cases.tool, path, *words, "--seed", 1], preexec_fn=lambda: small_files_only(1_000_000))
    cases.checks.refused(result, "disk full over an older file", "whole.h5", status=3)
    cases.checks.that(path.read_bytes() == old, "an older file stays as it was")
    killed_half_way(cases)


def killed_half_way(cases: Cases) -> None:
    """At any moment there is no file or the whole one."""
    path = cases.folder / "killed.h5"
    for wait in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        process = subprocess.Popen([str(cases.tool), str(path), "--doc-len", "16384", "--anchor", "64", "--head-dim",
                                    "128"], stdout=subprocess.DEVNULL, env=environment())
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if path.exists():
            cases.checks.right(run([cases.tool, "--check", path]), f"killed after {wait} s: the file that is there")
            path.unlink()
        else:
            cases.checks.that(True, "no file")
        for part in cases.folder.glob("killed.h5.part-*"):
            part.unlink()


def unwritable(cases: Cases) -> None:
    if os.geteuid() == 0:
        print("run as root, who may write anywhere: folders without write permission are left out")
        return
    closed = cases.folder / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    cases.checks.refused(run([cases.tool, closed / "case.h5"]), "a folder without write permission", "not writable")


def main() -> None:
    (bin_dir,) = arguments("BIN_DIR", 1)
    checks, tool = Checks(), program(bin_dir, "apb-case")
    python = python_with("h5py", "numpy")
    if python is None:
        print("no $APB_PYTHON with h5py: files are not judged by a second program")
    parts = (right_cases, adversaries_hurt, selections_hurt, same_seed, idle_options,
             presets, samples, model_cases, query_pass_of_model,
             retaining_heads_of_model, scaled_rope, rewritten, refused_lines, broken_files, nothing_half_written,
             unwritable)
    for part in parts:
        with temporary_folder() as folder:
            part(Cases(checks, tool, python, Path(folder)))
    checks.finish()


if __name__ == "__main__":
    main()
