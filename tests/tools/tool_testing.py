"""What the tests of the command-line tools share: run a command, check, report all that failed, skip."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Optional, Sequence, Union

SKIPPED = 77
ROOT = Path(__file__).resolve().parents[2]
IMPORT_PY = ROOT / "reference" / "tools" / "import" / "import.py"

# Open MPI refuses to run as root, or more ranks than cores, unless it is told; MPICH reads none of these. UCX, which
# Debian 13's MPICH stands on, starts a thread and logs to standard output as it is loaded: ./apb sets its variables too.
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm_rsh_agent": "/bin/false",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
                   "UCX_LOG_FILE": "stderr", "UCX_VFS_ENABLE": "n"}

Argument = Union[str, Path, int]


class Result(NamedTuple):
    command: str
    status: int  # negative: the signal that ended it; None never: a command over its time is -9 and `timed_out`
    out: bytes
    err: str
    seconds: float
    timed_out: bool

    def error_lines(self) -> list[str]:
        return self.err.splitlines()

    def json(self) -> Any:
        """The whole of standard output as one JSON value; raises ValueError if it is anything else."""
        return json.loads(self.out.decode())

    def __str__(self) -> str:
        ending = "ran past its time" if self.timed_out else f"status {self.status}"
        return f"{self.command}\n    {ending} after {self.seconds:.1f} s; stderr: {self.err.strip()[:600] or '(empty)'}"


def environment(changes: Optional[dict[str, Optional[str]]] = None) -> dict[str, str]:
    """This process's environment with changes; None removes a variable. What a surrounding mpiexec left goes too."""
    merged = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "PMIX_", "OMPI_"))}
    for name, value in {**MPI_ENVIRONMENT, **(changes or {})}.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def run(command: Sequence[Argument], stdin: bytes = b"", timeout: float = 60, cwd: Optional[Path] = None,
        env: Optional[dict[str, Optional[str]]] = None, **popen: Any) -> Result:
    """Runs a command to its end, or kills it and all that it started when the time is over."""
    words = [str(word) for word in command]
    start = time.monotonic()
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
                               env=environment(env), start_new_session=True, **popen)
    timed_out = False
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return Result(" ".join(words), process.returncode, out, err.decode(errors="replace"),
                  time.monotonic() - start, timed_out)


class Checks:
    """Counts checks, prints each that fails at once, goes on, and gives the script's exit status at the end."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def that(self, condition: bool, what: str, evidence: object = "") -> bool:
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}" + (f"\n    {evidence}" if str(evidence) else ""), flush=True)
        return bool(condition)

    def equal(self, found: Any, wanted: Any, what: str, evidence: object = "") -> bool:
        return self.that(found == wanted, f"{what}: found {short(found)}, wanted {short(wanted)}", evidence)

    def right(self, result: Result, what: str) -> bool:
        return self.that(result.status == 0 and not result.timed_out, f"{what}: must end with status 0", result)

    def refused(self, result: Result, what: str, *words: str, status: int = 2) -> bool:
        """Exit status, nothing on stdout, one line on stderr in which every word (a regular expression) occurs."""
        if not self.that(result.status == status and not result.timed_out, f"{what}: must end with status {status}",
                         result):
            return False
        lines = result.error_lines()
        if "mpiexec" in result.command.split()[0]:  # a launcher that is not ours adds its own words
            lines = [line for line in lines if line.startswith("apb-")]
        self.that(len(lines) == 1, f"{what}: must print exactly one line on stderr, prints {len(lines)}", result)
        self.that(not result.out, f"{what}: must print nothing on stdout", short(result.out))
        for word in words:
            self.that(re.search(word, result.err) is not None, f"{what}: its line must say '{word}'", result)
        return True

    def finish(self) -> NoReturn:
        print(f"{self.passed} checks passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + " …"


def skip(reason: str) -> NoReturn:
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def python_with(*modules: str) -> Optional[str]:
    """The Python of $APB_PYTHON, else ./apb's own, if it is there and has these modules. The tools then use it too."""
    python = os.environ.setdefault("APB_PYTHON", str(ROOT / "build" / "venv" / "bin" / "python"))
    if not Path(python).exists():
        return None
    found = run([python, "-c", "import " + ", ".join(modules)])
    return python if found.status == 0 else None


def program(folder: str, name: str) -> Path:
    """A tool's executable; ends the script if it was not built."""
    path = Path(folder).resolve() / name
    if not path.exists():
        print(f"FAILED: {path} is missing (build target: apb_all_tools)")
        sys.exit(1)
    return path


def folder_listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="apb-tools-test-")


def arguments(usage: str, count: int) -> list[str]:
    if len(sys.argv) != count + 1:
        print(f"usage: {Path(sys.argv[0]).name} {usage}", file=sys.stderr)
        sys.exit(2)
    return sys.argv[1:]
