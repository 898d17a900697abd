"""Many runs of one program that is loaded once: fork_server.cpp, preloaded, forks a process for each."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Optional, Sequence

from tool_testing import Argument, Result, environment


class ForkServer:
    """A program that waits before its main function. Each run is a process of its own with standard input empty."""

    def __init__(self, library: Path, program: Path, folder: Path, env: dict[str, Optional[str]]) -> None:
        """`folder` is for what the runs print; no two servers may share one."""
        folder.mkdir()
        self.program, self.out, self.err = program, folder / "out", folder / "err"
        preloaded = folder / "preloaded.so"  # the checkout's path may hold spaces, at which LD_PRELOAD is split
        preloaded.symlink_to(library)
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment({**env, "LD_PRELOAD": str(preloaded)}))

    def run(self, words: Sequence[Argument], timeout: int) -> Result:
        """Like tool_testing.run: a run past its time is ended, with all that dies with it."""
        assert self.process.stdin and self.process.stdout
        request = "\t".join(str(word) for word in (timeout, self.out, self.err, *words))
        start = time.monotonic()
        self.process.stdin.write(os.fsencode(request + "\n"))
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of {self.program.name} ended with {self.process.wait()}")
        status = os.waitstatus_to_exitcode(int(answer))
        return Result(" ".join(map(str, (self.program, *words))), status, self.out.read_bytes(),
                      self.err.read_text(errors="replace"), time.monotonic() - start, status == -signal.SIGALRM)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
