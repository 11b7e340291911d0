"""Make the pictures of pages that the docs show: `make screenshots`; they are to be looked at before they are kept."""

import math
import subprocess
import tempfile
from pathlib import Path

from tests.browser.chromium import Browser
from tests.installation import ROOT, Installation, Started
from tests.waiting import until

TO = ROOT / "docs" / "_static"
SMALLER = """
import sys
from PIL import Image
for name in sys.argv[1:]:
    with Image.open(name) as picture:
        picture.convert("RGB").quantize(64).save(name, optimize=True)
"""
"""A sixth of the bytes; of the environment of the notebooks, which draws."""

SWEEP = {
    f"experiment_{step}": {
        "instructions": [["load", [0], [20]], ["rlx", [0], [math.pi * step / 10]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 200,
        "seed": step,
    }
    for step in range(21)
}
WIDTH, HEIGHT = 1100, 720


def make(folder: Path) -> list[Path]:
    """Serve a laboratory in the folder, do what a person does, and return the pictures."""
    installation = Installation(folder, None)
    installation.run("user", "add", "olga", "--role", "operator")
    token = installation.run("token", "new", "olga", "--scope", "read,submit,admin").stdout.strip()
    programs = [installation.start("serve", "--port", "0"), installation.start("drain")]
    try:
        address = _address(programs[0])
        for user in ("ann", "bert", "ann"):
            installation.submit("singlequdit", SWEEP, user=user)
        job = installation.submit("singlequdit", SWEEP, user="ann")
        until(lambda: set(installation.states().values()) == {"DONE"})
        with Browser(folder / "chromium", WIDTH, HEIGHT) as browser:
            browser.open(f"{address}/ui/jobs")
            browser.type_into("#token", token)
            browser.click("button.main")
            browser.until("location.pathname === '/ui/jobs' && document.readyState === 'complete'")
            pages = {"job": f"jobs/{job}", "submit": "submit", "laboratory": "laboratory"}
            return [_picture(browser, f"{address}/ui/{path}", name) for name, path in pages.items()]
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(60)


def _address(served: Started) -> str:
    until(lambda: "/ui (pages)" in served.printed(), 120, told=served.printed)
    return served.printed().partition("answers at ")[2].partition("/ui")[0]


def _picture(browser: Browser, url: str, name: str) -> Path:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    browser.open(url)
    browser.until("document.readyState === 'complete'")
    path = TO / f"page-{name}.png"
    browser.screenshot(path)
    return path


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        pictures = make(Path(scratch))
    subprocess.run([ROOT / ".venv-notebooks" / "bin" / "python", "-c", SMALLER, *pictures], check=True)
