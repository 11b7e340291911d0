"""axe-core, which finds what keeps people from using a page; its package is fetched once, and known by its hash."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from typing import Any

import pytest

from tests.browser.chromium import Browser
from tests.installation import ROOT

VERSION = "4.14.1"
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
KEPT = ROOT / ".cache" / "axe" / f"axe-core-{VERSION}.tgz"

RUN = """axe.run(document, {resultTypes: ["violations"]}).then(found => JSON.stringify({
  rules: found.passes.length,
  faults: found.violations.map(each => ({
    rule: each.id, impact: each.impact, where: each.nodes.map(node => node.html.slice(0, 200)),
  })),
}))"""


def axe_source() -> str:
    """Return the source of axe-core; the test is skipped where there is no npm, or no registry answers it."""
    if not KEPT.exists():
        if (npm := shutil.which("npm")) is None:
            pytest.skip("no npm is installed to fetch axe-core")
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        wanted = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
        done = subprocess.run(wanted, cwd=KEPT.parent, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")
    assert hashlib.sha256(KEPT.read_bytes()).hexdigest() == SHA256
    with tarfile.open(KEPT) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


def prepare_page(browser: Browser, source: str) -> None:
    """Unfold all that is folded on the page that is shown, and give it axe-core."""
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    browser.evaluate(f"{source};0")


def faults_of_page(browser: Browser) -> list[dict[str, Any]]:
    """Return what axe-core finds wrong with a page that is prepared, as it looks now."""
    found = json.loads(browser.evaluate(RUN))
    assert found["rules"] > 15
    faults: list[dict[str, Any]] = found["faults"]
    return faults
