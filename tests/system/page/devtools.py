"""Drives a headless Chromium over its DevTools protocol, through two pipes.

The rules:

* No network: the browser is told to resolve no name, and has a new profile folder of its own for each run.
* Commands and events are JSON, each ended by a zero byte, on the browser's file descriptors 3 and 4. So no port is
  opened, and no library is needed.
* What a page throws is raised here; what does not answer in time is an error. The browser ends with its context.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

__all__ = ["Browser", "BrowserError", "Json", "Page"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

ANSWER_SECONDS_MAX: Final = 120  # A thousand dossiers in one call take half of it on a busy machine.
FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # Tests run as root in a container, where Chromium has no sandbox.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
# Chromium looks for the pipes on 3 and 4: they are put there between the fork and the browser.
_TO_BROWSER: Final = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(given), fcntl.F_DUPFD, 10) for given in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class BrowserError(Exception):
    """Raised when the browser refuses a command, a page throws, or no answer comes."""


class Browser:
    """A headless Chromium with an empty profile in `folder`; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium")
        if program is None:
            raise BrowserError("chromium is not installed: make test-system installs it")
        command = (program, *FLAGS, f"--user-data-dir={folder}", "about:blank")
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TO_BROWSER, str(to_browser), str(from_browser), *command],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._held = b""
        self._number = 0
        self.events: list[dict[str, Json]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, parameters: Mapping[str, Json] | None = None, *, session: str = "") -> dict[str, Json]:
        """Returns the answer to one command; what happens in between is kept in `events`."""
        self._number += 1
        message: dict[str, Json] = {"id": self._number, "method": method, "params": dict(parameters or {})}
        if session:
            message["sessionId"] = session
        raw = json.dumps(message).encode() + b"\0"
        while raw:
            raw = raw[os.write(self._commands, raw) :]
        until = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            told = self._next(until)
            if told.get("id") != self._number:
                self.events.append(told)
                continue
            if "error" in told:
                raise BrowserError(f"{method}: {told['error']}")
            return cast(dict[str, Json], told["result"])

    def open(self, page: Path) -> Page:
        """Returns a page opened from disk, after it was loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = cast(str, self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
        found = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            found.call(f"{domain}.enable")
        found.load(page)
        return found

    def wait_for(self, method: str, session: str) -> dict[str, Json]:
        """Returns the next event of this kind in a page."""
        until = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            for at, event in enumerate(self.events):
                if event.get("method") == method and event.get("sessionId") == session:
                    return self.events.pop(at)
            self.events.append(self._next(until))

    def _next(self, until: float) -> dict[str, Json]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            read = os.read(self._answers, 1 << 20) if ready else b""
            if not read:
                raise BrowserError("the browser ended" if ready else "the browser does not answer")
            self._held += read
        message, self._held = self._held.split(b"\0", 1)
        return cast(dict[str, Json], json.loads(message))


class Page:
    """One page in the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, parameters: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Returns the answer to one command about this page."""
        return self._browser.call(method, parameters, session=self._session)

    def load(self, page: Path) -> None:
        """Opens a file from disk in this page, and waits until it is loaded."""
        self.call("Page.navigate", {"url": page.as_uri()})
        self._browser.wait_for("Page.loadEventFired", self._session)

    def evaluate(self, expression: str) -> Json:
        """Returns the value of an expression of JavaScript, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True})
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:2000])
        return cast(dict[str, Json], answer["result"]).get("value")

    def pick(self, input_id: str, file: Path) -> None:
        """Picks a file in a file input, as a person does."""
        document = cast(dict[str, Json], self.call("DOM.getDocument")["root"])
        found = self.call("DOM.querySelector", {"nodeId": document["nodeId"], "selector": f"#{input_id}"})
        self.call("DOM.setFileInputFiles", {"files": [str(file)], "nodeId": found["nodeId"]})

    def wait_until(self, expression: str) -> None:
        """Returns when an expression is true in the page."""
        again = "setTimeout(look, 20)"
        self.evaluate(f"new Promise((done) => {{ const look = () => ({expression}) ? done(true) : {again}; look(); }})")

    def look(self, width: int, height: int, *, scheme: str) -> bytes:
        """Returns a picture of the page as PNG, in the `light` or `dark` colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        return base64.b64decode(cast(str, self.call("Page.captureScreenshot", {"format": "png"})["data"]))

    def network_requests(self) -> list[str]:
        """Returns the addresses that the page asked for so far."""
        return [
            str(cast(dict[str, Json], cast(dict[str, Json], event["params"])["request"])["url"])
            for event in self._browser.events
            if event.get("method") == "Network.requestWillBeSent" and event.get("sessionId") == self._session
        ]

    def complaints(self) -> list[str]:
        """Returns what the browser logged as an error, and what the page threw unheard."""
        found = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            parameters = cast(dict[str, Json], event["params"])
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(parameters["exceptionDetails"]))
            if event["method"] == "Log.entryAdded":
                entry = cast(dict[str, Json], parameters["entry"])
                if entry["level"] == "error":
                    found.append(str(entry["text"]))
        return found
