"""A folder in which commands are refused, and runs that cannot finish: neither may leave anything behind."""
from __future__ import annotations

import re
import resource
import shutil
import signal
from pathlib import Path
from typing import Any, Callable, Optional

from tool_testing import Checks, folder_listing, run

ALLOWED_S = 30


class Folder:
    """A folder in which a command that is refused must leave everything as it was."""

    def __init__(self, checks: Checks, path: Path) -> None:
        self.checks, self.path = checks, path
        path.mkdir(exist_ok=True)

    def content(self) -> dict[str, Optional[bytes]]:
        return {name: (self.path / name).read_bytes() if (self.path / name).is_file() else None
                for name in folder_listing(self.path)}

    def refused(self, what: str, command: list[Any], *words: str, stdin: bytes = b"", **options: Any) -> None:
        before = self.content()
        result = run(command, stdin, ALLOWED_S, cwd=self.path, **options)
        self.checks.refused(result, what, *words)
        self.unchanged(what, before)

    def unchanged(self, what: str, before: dict[str, Optional[bytes]]) -> None:
        after = self.content()
        changed = sorted(name for name in {*before, *after}
                         if name not in before or name not in after or before[name] != after[name])
        self.checks.equal(changed, [], f"{what}: must leave its folder as it was; changed")
        for name in {*after} - {*before}:  # so that one left-over is reported once
            path = self.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def small_files_only(limit: int) -> Callable[[], None]:
    """To be called in a child process: no file may grow beyond the limit, as on a disk that is full."""
    def set_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return set_limit


def cannot_finish(folder: Folder, what: str, command: list[Any], word: str, statuses: tuple[int, ...] = (3, ),
                  **options: Any) -> None:
    """Status 3 with a line that says why, and nothing left behind."""
    before = folder.content()
    result = run(command, timeout=ALLOWED_S, cwd=folder.path, **options)
    folder.checks.that(result.status in statuses, f"{what}: its status must be {statuses}", result)
    folder.checks.that(re.search(word, result.err) is not None, f"{what}: must say '{word}'", result)
    folder.unchanged(what, before)
