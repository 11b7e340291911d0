"""A headless Chromium, driven over its DevTools protocol: what a person does to a page, and nothing more."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

from tests.waiting import until

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-3d-apis",  # drawn by the processor, sixty times a second
    "--force-prefers-reduced-motion",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
]
PATIENCE = 60.0
"""Seconds that a page may take for anything; a slow machine needs ten."""

PAUSE = 0.1
CONTROL = 2

FIND = """
(text, within) => [...document.querySelectorAll(within)].filter(
  e => (e.innerText || '').trim() === text && e.getClientRects().length && !e.closest('[aria-hidden=true]')
).pop()
"""
"""The innermost visible element with just this text."""

PLACE = """
element => {
  if (!element) return null;
  element.scrollIntoView({block: 'center'});
  const box = element.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
  const notice = document.elementFromPoint(x, y)?.closest('.p-toast-container__toast, .p-toast__card');
  if (!notice) return [x, y];
  notice.querySelector('.p-toast__close-btn')?.click();
  return null;
}
"""
"""Where to click an element; null where a notice lies over it, which is closed, as anybody would."""


class Browser:
    """One browser process and its one page; both end with the block."""

    def __init__(self, folder: Path, width: int = 1400, height: int = 1000) -> None:
        """Start it.

        Args:
            folder: an empty folder for its profile.
        """
        assert PROGRAM is not None
        self._ids = itertools.count(1)
        # Its helper processes are of its session, so that none of them outlives it.
        self._process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port(folder)}/json/list") as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            self._socket = connect(pages[0]["webSocketDebuggerUrl"], max_size=None, ping_interval=None)
        except BaseException:
            self._end()
            raise
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._end()

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _port(self, folder: Path) -> str:
        """Wait for the port that it chose."""
        file = folder / "DevToolsActivePort"
        until(lambda: self._process.poll() is not None or (file.exists() and file.read_text()), PATIENCE)
        assert self._process.poll() is None, "chromium did not start"
        return file.read_text().splitlines()[0]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol and return its result."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression of JavaScript in the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = PATIENCE) -> Any:
        """Wait until an expression is true, and return its value."""
        said = lambda: f"{script}\nThe page says:\n{self.text()[:3000]}"  # noqa: E731 - what a failure shows
        return until(lambda: self.evaluate(script), seconds, pause=PAUSE, told=said)

    def open(self, address: str) -> None:
        """Go to an address; what it shows may take a while longer."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def text(self, selector: str = "body") -> str:
        """Return what can be read in the first element of this kind."""
        return str(self.evaluate(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''"))

    def shows(self, *texts: str, seconds: float = PATIENCE) -> None:
        """Wait until all these texts can be read."""
        for text in texts:
            self.until(f"document.body?.innerText.includes({json.dumps(text)})", seconds)

    def has(self, selector: str) -> None:
        """Wait until there is such an element."""
        self.until(f"!!document.querySelector({json.dumps(selector)})")

    def click(self, selector: str) -> None:
        """Click the first element of this kind, as soon as there is one."""
        self._click(f"document.querySelector({json.dumps(selector)})")

    def click_text(self, text: str, within: str = "body *") -> None:
        """Click the innermost element with just this text, as soon as there is one.

        Args:
            within: which elements are looked at.
        """
        self._click(f"({FIND})({json.dumps(text)}, {json.dumps(within)})")

    def _click(self, element: str) -> None:
        """Click in the middle of an element, once it has stopped moving and no notice lies over it."""
        places: list[list[float] | None] = []

        def rests() -> bool:
            places.append(self.evaluate(f"({PLACE})({element})"))
            return places[-1] is not None and places[-1] in places[-2:-1]

        until(rests, PATIENCE, pause=PAUSE, told=lambda: f"{element} to click\nThe page says:\n{self.text()[:3000]}")
        assert places[-1] is not None
        at = dict(zip("xy", places[-1], strict=True))
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def type_into(self, selector: str, text: str) -> None:
        """Replace what an input or an editor holds."""
        self.click(selector)
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                modifiers=CONTROL,
                key="a",
                code="KeyA",
                windowsVirtualKeyCode=65,
                commands=["selectAll"] if kind == "rawKeyDown" else [],
            )
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Write what the page shows as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
