"""What a person does with the pages: sign in, hand in a job, watch it run, read its figure, cancel another one.

`make crash` keeps pictures of every page in `.cache/screenshots/`: light and dark, on a wide screen and on a telephone.
"""

import itertools
import json
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.axe import axe_source, faults_of_page, prepare_page
from tests.browser.chromium import PROGRAM, Browser
from tests.control_room import LONG
from tests.installation import ROOT, Installation
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed"),
]

PICTURES = ROOT / ".cache" / "screenshots"
SWEEP = {
    f"experiment_{step}": {
        "instructions": [["load", [0], [20]], ["rlx", [0], [math.pi * step / 10]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 100,
    }
    for step in range(20)
}
BAD = '[["nope", [0], []], ["measure", [0], []]]'
ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
LOOKS = list(itertools.product(("light", "dark"), (1400, 375))) if ALL else [("light", 1400), ("dark", 375)]
"""Colours depend on the scheme alone, and places on the width; all four looks are part of `make crash`."""


class Laboratory:
    """A laboratory with an API and a drain behind it.

    Attributes:
        tokens: of its users.
    """

    def __init__(self, installation: Installation, address: str) -> None:
        self.installation, self.address = installation, address
        self.tokens = {name: installation.run("token", "new", name).stdout.strip() for name in ("alice", "olga")}


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Laboratory]:
    """The API and a drain, each a process; they end with the module."""
    installation = Installation(tmp_path_factory.mktemp("pages"), prefect_api)
    installation.run("user", "add", "alice")
    installation.run("user", "add", "olga", "--role", "operator")
    programs = [installation.start("serve", "--port", "0"), installation.start("drain")]
    try:
        served = programs[0]
        until(lambda: "/ui (pages)" in served.printed() or served.poll() is not None, 120, told=served.printed)
        assert served.poll() is None, served.printed()
        yield Laboratory(installation, served.printed().partition("answers at ")[2].partition("/ui")[0])
    finally:
        for program in programs:
            program.send_signal(signal.SIGTERM)
        for program in programs:
            program.wait(60)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with an empty profile."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def sign_in(browser: Browser, laboratory: Laboratory, name: str) -> None:
    """Sign in, whoever else was before."""
    browser.call("Network.clearBrowserCookies")
    browser.open(f"{laboratory.address}/ui/jobs")
    browser.type_into("#token", laboratory.tokens[name])
    browser.click("button.main")
    browser.until("location.pathname === '/ui/jobs' && document.readyState === 'complete'")


def fill(browser: Browser, backend: str, program: str) -> None:
    """Fill in the form for a job."""
    browser.evaluate(f"document.querySelector('#backend').value = '{backend}'")
    browser.type_into("#program", program)


def submit(browser: Browser, laboratory: Laboratory, backend: str, document: object) -> str:
    """Hand in a document by the form, and return the job's id from the page that follows."""
    browser.open(f"{laboratory.address}/ui/submit")
    fill(browser, backend, json.dumps(document))
    browser.click_text("Submit", "button")
    browser.until("location.pathname.startsWith('/ui/jobs/')")
    return str(browser.evaluate("location.pathname.split('/').pop()"))


def look(browser: Browser, scheme: str, width: int) -> None:
    """Have a screen of this width, on which pages are light or dark."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)


def keep(browser: Browser, name: str) -> None:
    """Keep a picture of the page, for people to look at."""
    if ALL:
        browser.screenshot(Path(PICTURES / f"pages-{name}.png"))


def test_a_job_from_signing_in_to_its_figure(browser: Browser, laboratory: Laboratory) -> None:
    """The page follows the job by itself, and says to a screen reader what has changed."""
    browser.open(laboratory.address)
    browser.shows("Sign in", "Access token")
    browser.type_into("#token", "qlg_000000000000_wrong")
    browser.click("button.main")
    browser.shows("This token is not known here.")
    browser.until("document.activeElement.id === 'token'")  # the browser does so after the page is there
    sign_in(browser, laboratory, "alice")
    browser.shows("There is no job yet.")
    submit(browser, laboratory, "singlequdit", SWEEP)
    assert browser.evaluate("document.cookie") == ""
    browser.evaluate("window.neverLeft = true")
    browser.shows("DONE", "Share of each outcome in each experiment", seconds=120)
    assert browser.evaluate("window.neverLeft") is True
    assert "DONE" in browser.evaluate("document.querySelector('[data-said]').textContent")
    assert browser.evaluate("document.querySelectorAll('svg.figure').length") == 22
    assert "Mean with its standard error" in browser.text()


def test_faults_are_told_while_one_types(browser: Browser, laboratory: Laboratory) -> None:
    """And again when the form is sent; nothing is stored."""
    sign_in(browser, laboratory, "alice")
    browser.open(f"{laboratory.address}/ui/submit")
    browser.shows("singlequdit takes it, 500 shots in all.")
    browser.type_into("#program", BAD)
    browser.shows("1 fault", "instruction 0 (nope)")
    assert browser.evaluate("document.querySelector('#program').getAttribute('aria-invalid')") == "true"
    browser.type_into("#shots", "0")
    browser.shows("shots: ")
    browser.click_text("Submit", "button")
    browser.shows("The job was not handed in")
    assert browser.evaluate("document.querySelector('#program').value") == BAD
    browser.type_into("#shots", "7")
    browser.type_into("#program", '[["load", [0], [5]], ["measure", [0], []]]')
    browser.shows("singlequdit takes it, 7 shots in all.")
    assert browser.evaluate("document.querySelector('#program').getAttribute('aria-invalid')") is None


def test_a_job_under_way_is_cancelled(browser: Browser, laboratory: Laboratory) -> None:
    """One is asked once more; the list follows too."""
    sign_in(browser, laboratory, "alice")
    job_id = submit(browser, laboratory, "multiqudit", LONG)
    browser.shows("COMPILED", seconds=120)
    keep(browser, "running")
    browser.evaluate("window.confirm = () => true")
    browser.click_text("Cancel", "button")
    browser.until("/CANCELLED|cancel asked for/.test(document.body?.innerText)")
    browser.open(f"{laboratory.address}/ui/jobs")
    browser.until(f"document.querySelector('a[href$=\"{job_id}\"]')?.closest('tr').innerText.includes('CANCELLED')")
    assert laboratory.installation.json("status", job_id)["state"] == "CANCELLED"


def test_it_can_be_used_by_keyboard(browser: Browser, laboratory: Laboratory) -> None:
    """The first stop leads over the navigation; whatever has the focus shows it."""
    sign_in(browser, laboratory, "alice")
    seen = []
    for _ in range(8):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(browser.evaluate("document.activeElement.innerText.trim() || document.activeElement.id"))
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen
    assert seen[:2] == ["Skip to the content", "Quledger"]
    assert seen[2:6] == ["Backends", "Jobs", "Submit", "Account"]


def test_axe_finds_nothing_wrong(browser: Browser, laboratory: Laboratory) -> None:
    """On any page, light or dark, wide or narrow; and no page is wider than its screen."""
    source = axe_source()
    sign_in(browser, laboratory, "olga")
    done = laboratory.installation.submit("singlequdit", SWEEP)
    until(lambda: laboratory.installation.states()[done] == "DONE")
    template = {"experiment_0": SWEEP["experiment_3"] | {"shots": "{shots}"}}
    body = {"backend": "singlequdit", "template": template, "group": "swept", "rows": [{"shots": 10}, {"shots": 20}]}
    headers = {"Authorization": f"Bearer {laboratory.tokens['olga']}"}
    assert httpx.post(f"{laboratory.address}/v1/groups", json=body, headers=headers).json()["submitted"] == 2
    paths = [
        "backends",
        "backends/qubits",
        "jobs",
        f"jobs/{done}",
        f"jobs/{done}/diff?with={done}",
        "groups",
        "groups/swept?with=swept",
        "submit",
        "account",
        "users",
        "laboratory",
        "nowhere",
    ]
    found = {}
    for path in [*(f"/ui/{each}" for each in paths), "/v1/docs", "/ui/sign-in"]:
        browser.open(f"{laboratory.address}{path}")
        named = path.partition("?")[0].strip("/").replace("/", "-").replace(done, "job")
        for scheme, width in LOOKS:
            look(browser, scheme, width)
            keep(browser, f"{named}-{scheme}-{width}")
            assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        prepare_page(browser, source)
        for scheme, width in LOOKS:
            look(browser, scheme, width)
            if faults := faults_of_page(browser):
                found[path, scheme, width] = faults
    assert found == {}
