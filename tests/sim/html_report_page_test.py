#!/usr/bin/env python3
"""Opens reports in a headless Chromium, samples and those of every command that writes one: on a phone and on a desk,
light and dark.

  html_report_page_test.py PAGE_PROGRAM SIM_PROGRAM [FOLDER]    FOLDER: pictures of the pages are left there

Exit 0: right; 1: faults, one a line; 77: no browser. Tests itself first, on a page with faults.
"""
from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
SECTIONS = ["parts", "speedup", "timeline", "pareto", "tornado", "tables", "notes"]
# Commands that write a page: what they are asked, which figures and tables it has, what must be said in it.
NUMBERS = ",".join
COMMANDS = {
    "compare": ("compare --tokens 32K,128K --ranks 8", ["parts", "speedup", "timeline", "pareto", "tornado", "tables", "notes"],
                ["131,072 tokens on 8 ranks", "32,768 tokens on 8 ranks", "Ulysses", "is fastest"]),
    "predict": ("predict --tokens 128K --ranks 8", ["parts", "timeline", "tornado", "tables", "notes"],
                ["First token after", "retaining head"]),
    "short_prompt": ("predict --tokens 0", ["parts", "timeline", "tornado", "tables", "notes"], ["0 tokens"]),
    "wide_ring": ("predict --method ring --ranks 1024", ["parts", "timeline", "tornado", "tables", "notes"],
                  ["steps that are alike as one", "Of 1024 ranks"]),
    "sensitivity": ("sensitivity --tokens 128K --ranks 8", ["tornado", "notes"], ["moves it most"]),
    "sweep": ("sweep --tokens 32K,128K --ranks 2,4,8 --price 2.5 --quality apb-paper-ruler", ["pareto", "notes"],
              ["are beaten by none", "quality"]),
    "large_sweep": ("sweep --price 2 --methods apb,star,tensor_parallel --tokens " + NUMBERS(map(str, range(8192, 131073, 1024))) +
                    " --ranks 2,4,8 --keep " + NUMBERS(map(str, range(16, 1601, 6))), ["pareto", "notes"],
                    ["are drawn, evenly chosen"]),
}
LARGEST_PAGE_BYTES = 1 << 20

# What a page says about itself. Text in figures is measured as it is on the screen.
QUESTIONS = """(() => {
  const figures = [...document.querySelectorAll('svg.figure')];
  const small = [], crossing = [], outside = [];
  for (const figure of figures) {
    const frame = figure.getBoundingClientRect();
    const scale = frame.width / figure.viewBox.baseVal.width;
    const boxes = [];
    for (const text of figure.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      const words = text.textContent;
      if (parseFloat(getComputedStyle(text).fontSize) * scale < 11) small.push(words);
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1) outside.push(words);
      // A line's box is higher than its letters: a quarter of it may meet another one.
      for (const [other, name] of boxes) {
        const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (wide > 0.5 && high > box.height / 4) crossing.push(name + ' / ' + words);
      }
      boxes.push([box, words]);
    }
  }
  const luminance = colour => colour.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  const pale = [...document.querySelectorAll('p, li, h1, h2, td, th, figcaption, summary, a')]
      .filter(element => {
        const ink = luminance(getComputedStyle(element).color);
        return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05) < 4.5;
      }).map(element => element.textContent.slice(0, 40));
  return {
    width: document.documentElement.scrollWidth, window: window.innerWidth,
    sections: [...document.querySelectorAll('section')].map(section => section.id),
    figures: figures.length, empty: figures.filter(f => f.getBoundingClientRect().height < 50).length,
    dark: page < 0.2, small, crossing, outside, pale,
    heading: document.querySelector('h1').textContent,
    requests: performance.getEntriesByType('resource').map(entry => entry.name),
  };
})()"""


class Browser:
    """Chromium over its debugging pipe: messages that end in a zero byte, on descriptors 3 and 4."""

    def __init__(self, program: str, profile: str) -> None:
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def descriptors() -> None:
            # Copies first: 3 and 4 may be in use by the pipes themselves.
            reading, writing = os.dup(to_browser), os.dup(from_browser)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen([
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"
        ],
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL,
                                        close_fds=False,
                                        preexec_fn=descriptors)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.number = 0
        self.events: list[dict] = []
        self.session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def message(self, timeout_s: float) -> dict:
        deadline = time.monotonic() + timeout_s
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method: str, **parameters) -> dict:
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message(60)
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def open(self, page: Path, width: int, dark: bool) -> None:
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride",
                  width=width,
                  height=900,
                  deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message(60))

    def ask(self, question: str):
        answer = self.call("Runtime.evaluate", expression=question, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What the page wrote on the console, exceptions, and what the browser logged about it."""
        self.ask("0")  # what was said before has arrived then
        return [
            json.dumps(event["params"])[:300] for event in self.events
            if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def picture(self, file: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                         clip=dict(x=0, y=0, scale=1, width=self.ask("document.documentElement.clientWidth"),
                                   height=min(16000, self.ask("document.documentElement.scrollHeight"))))
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def faults_of(browser: Browser, page: Path, width: int, dark: bool, sections: list[str]) -> list[str]:
    browser.open(page, width, dark)
    browser.ask("document.querySelectorAll('details').forEach(d => d.open = true)")
    seen = browser.ask(QUESTIONS)
    faults = [f"console: {complaint}" for complaint in browser.complaints()]
    if seen["width"] > width or seen["window"] != width:
        faults.append(f"the page is {seen['width']} px wide, the window {seen['window']} of {width}")
    if seen["sections"] != sections:
        faults.append(f"sections {seen['sections']}")
    if seen["figures"] != len(set(sections) - {"tables", "notes"}) or seen["empty"]:
        faults.append(f"{seen['figures']} figures, {seen['empty']} of them without height")
    if seen["dark"] != dark:
        faults.append(f"dark: {seen['dark']}, wanted {dark}")
    for what in ("small", "crossing", "outside", "pale", "requests"):
        if seen[what]:
            faults.append(f"{what}: {len(seen[what])}, e.g. {seen[what][:4]}")
    return faults


FAULTY_PAGE = """<!DOCTYPE html><title>x</title><body style="background: #fff"><h1>x</h1><p style="color: #bbb">pale</p>
<div style="width: 3000px">wide</div><script>console.error('x')</script>
<svg class="figure" viewBox="0 0 100 100" width="50"><text x="0" y="50" font-size="12">one</text>
<text x="5" y="50">two</text><text x="90" y="50">three</text></svg>"""
FAULTS = ["console", "the page is", "sections", "5 figures", "dark", "small", "crossing", "outside", "pale"]


def missed_faults(browser: Browser, folder: Path) -> list[str]:
    page = folder / "faulty.html"
    page.write_text(FAULTY_PAGE)
    found = faults_of(browser, page, 390, True, SECTIONS)
    return [fault for fault in FAULTS if not any(fault.replace("5 ", "") in text for text in found)]


def pages(folder: Path) -> list[tuple[str, Path, list[str]]]:
    """Name, file and sections of every page."""
    made = []
    for kind in ("sample", "crowded"):
        page = folder / f"{kind}.html"
        page.write_bytes(subprocess.run([sys.argv[1], kind], stdout=subprocess.PIPE, check=True).stdout)
        made.append((kind, page, SECTIONS))
    for name, (command, sections, _) in COMMANDS.items() if sys.argv[2] != "-" else ():
        page = folder / f"{name}.html"
        subprocess.run([sys.argv[2], *command.split(), "--html", str(page)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        made.append((name, page, sections))
    return made


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


def main() -> int:
    program = find_browser()
    if program is None:
        print("SKIPPED: not on this machine: no chromium or google-chrome")
        return SKIPPED
    wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        browser = Browser(program, str(folder / "profile"))
        try:
            missed = missed_faults(browser, folder)
            if missed:
                print(f"the test itself is wrong: it does not find {missed}")
                return 1
            for name, page, sections in pages(folder):
                if page.stat().st_size > LARGEST_PAGE_BYTES:
                    print(f"{name}: {page.stat().st_size} bytes")
                    wrong += 1
                for width, dark in itertools.product((390, 1440), (False, True)):
                    setting = f"{name}, {width} px, {'dark' if dark else 'light'}"
                    for fault in faults_of(browser, page, width, dark, sections):
                        print(f"{setting}: {fault}")
                        wrong += 1
                    if len(sys.argv) > 3:
                        browser.picture(Path(sys.argv[3]) / f"{setting.replace(', ', '_').replace(' ', '')}.png")
                for words in COMMANDS.get(name, ((), (), ()))[2]:
                    if words not in browser.ask("document.body.textContent.replace(/\\s+/g, ' ')"):
                        print(f"{name}: does not say {words!r}")
                        wrong += 1
        finally:
            browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
