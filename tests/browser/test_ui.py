"""What a person does who only has Prefect's UI: hand in a job, look at its page, cancel it, read the artifacts.

`make crash` keeps pictures of every page in `.cache/screenshots/`.
"""

import json
import math
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import prefect_home
from tests.browser.chromium import PROGRAM, Browser
from tests.control_room import LONG
from tests.installation import ROOT, Installation
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed"),
]

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
PICTURES = ROOT / ".cache" / "screenshots"
EDITOR = "textarea.p-code-input__textarea"
TAB = ".p-tab"


class Site:
    """A laboratory that `quledger up` serves."""

    def __init__(self, installation: Installation, address: str) -> None:
        self.installation, self.address = installation, address
        # None is kept open: an idle one may be closed just as it is used again.
        self._client = httpx.Client(
            base_url=f"{address}/api", timeout=60, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask Prefect's API."""
        answer = self._client.get(path) if body is None else self._client.post(path, json=body)
        return answer.raise_for_status().json()

    def deployment(self, name: str) -> str:
        """Return the id of a deployment."""
        return str(self.ask(f"/deployments/name/{name}/{name}")["id"])

    def launch(self, name: str, **parameters: Any) -> str:
        """Begin a run of a deployment and return its id."""
        body = {"parameters": parameters}
        return str(self.ask(f"/deployments/{self.deployment(name)}/create_flow_run", body)["id"])

    def run(self, run_id: str, *states: str) -> dict[str, Any]:
        """Wait until a run is in one of these states, and return it."""
        until(lambda: self.ask(f"/flow_runs/{run_id}")["state_name"] in states, pause=0.2)
        return dict(self.ask(f"/flow_runs/{run_id}"))

    def recorded(self, run_id: str, tasks: int) -> None:
        """Wait until Prefect knows that so many tasks of a run have ended; the page of a run that is over asks once."""
        body = {
            "flow_runs": {"id": {"any_": [run_id]}},
            "task_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED"]}}},
        }
        until(lambda: len(self.ask("/task_runs/filter", body)) == tasks, pause=0.2)

    def artifact(self, key: str) -> str:
        """Wait until there is an artifact with this key, and return the id of the latest."""
        body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        found = until(lambda: self.ask("/artifacts/filter", body), pause=0.2)
        return str(found[0]["id"])

    def page(self, run_id: str) -> str:
        """Return the address of the page of a run."""
        return f"{self.address}/runs/flow-run/{run_id}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything that `quledger up` starts, in a home of its own; it ends with the module."""
    folder = tmp_path_factory.mktemp("up")
    installation = Installation(folder, None)
    prefect_home.fill(installation.home / "prefect")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = installation.start("up", "--port", str(port), "--api-port", "0")
    try:
        # The last line comes when all is ready; a program that ends says no more.
        until(lambda: "Ctrl-C" in program.printed() or program.poll() is not None, 500, told=program.printed)
        assert program.poll() is None, program.printed()
        yield Site(installation, f"http://127.0.0.1:{port}")
    finally:
        program.send_signal(signal.SIGTERM)
        try:
            program.wait(60)
        except subprocess.TimeoutExpired:
            program.kill()
        program.communicate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with an empty profile."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def keep(browser: Browser, name: str) -> None:
    """Keep a picture of the page, for people to look at."""
    if ALL:
        browser.screenshot(PICTURES / f"{name}.png")


def open_form(site: Site, browser: Browser) -> None:
    """Go the way from the list of deployments to the form of `run-job`."""
    browser.open(f"{site.address}/deployments")
    browser.click(f"a[href*='/deployments/deployment/{site.deployment('run-job')}']")
    browser.click_text("Run", "button")
    browser.click_text("Custom run")
    _await_form(browser)


def reopen_form(site: Site, browser: Browser) -> None:
    """Come back to the form by its address."""
    browser.open(f"{site.address}/deployments/deployment/{site.deployment('run-job')}/run")
    _await_form(browser)


def _await_form(browser: Browser) -> None:
    browser.has(EDITOR)
    browser.shows("Program", "Validate parameters")


def submit_form(site: Site, browser: Browser) -> str:
    """Press Submit and return the id of the run that begins."""
    before = {run["id"] for run in _runs(site)}
    browser.click_text("Submit", "button")
    new = until(lambda: [run for run in _runs(site) if run["id"] not in before], pause=0.2, told=browser.text)
    return str(new[0]["id"])


def _runs(site: Site) -> list[dict[str, Any]]:
    body = {"deployments": {"id": {"any_": [site.deployment("run-job")]}}}
    return list(site.ask("/flow_runs/filter", body))


def read_page(browser: Browser) -> str:
    """Open the Markdown page of the run that is shown, and return its text."""
    browser.click_text("Artifacts", TAB)
    browser.click_text("MARKDOWN")
    browser.shows("History")
    return browser.text()


def test_a_job_from_the_form_to_its_histogram(site: Site, browser: Browser) -> None:
    """The form as it opens makes a job; its page shows the steps, the counts and a histogram."""
    open_form(site, browser)
    shown = browser.text()
    assert all(f"{name} (Optional)" in shown for name in ("Backend", "Wires", "Shots", "Seed", "User", "Priority"))
    # What only programs send is not in the way.
    assert "Document (Optional)" not in shown
    assert "Key (Optional)" not in shown
    assert {"singlequdit", "multiqudit", "fermions", "rydberg"} <= set(shown.split())
    assert '["rlx", [0], [1.57]]' in browser.evaluate(f"document.querySelector('{EDITOR}').value")
    numbers = browser.evaluate("[...document.querySelectorAll('.p-number-input__control')].map(e => e.value)")
    assert numbers == ["1", "500", "", "0"]
    keep(browser, "1-form")

    run = site.run(submit_form(site, browser), "Completed", "Failed")
    assert run["state_name"] == "Completed"
    job_id = run["name"]
    assert site.installation.json("status", job_id)["state"] == "DONE"
    assert "singlequdit" in run["tags"]

    site.recorded(run["id"], 4)
    browser.open(site.page(run["id"]))
    browser.shows(job_id, "Completed", "4 Task runs", "validated: 1 experiment", "uploaded:", "singlequdit")
    browser.click_text("Task Runs", TAB)
    browser.shows("validation-", "compilation-", "execution-", "upload-")
    keep(browser, "2-run")

    text = read_page(browser)
    assert f"Done: job {job_id}" in text
    browser.until("[...document.querySelectorAll('img')].some(image => image.naturalWidth > 0)")
    keep(browser, "3-page")
    tables = site.ask("/artifacts/filter", {"artifacts": {"type": {"any_": ["table"]}}})
    rows = json.loads(tables[0]["data"])
    assert sum(row["count"] for row in rows) == 500
    browser.open(f"{site.address}/artifacts/artifact/{tables[0]['id']}")
    browser.shows("outcome", "count", "share")
    keep(browser, "4-counts")


def test_a_sweep_is_one_figure_on_light_and_dark_pages(site: Site, browser: Browser) -> None:
    """The single histograms are there to be unfolded, and the history says what happened."""
    document = {
        f"experiment_{step}": {
            "instructions": [["load", [0], [20]], ["rlx", [0], [math.pi * step / 10]], ["measure", [0], []]],
            "num_wires": 1,
            "shots": 100,
        }
        for step in range(20)
    }
    run_id = site.launch("run-job", job={"backend": "singlequdit", "document": document})
    site.run(run_id, "Completed")
    browser.open(site.page(run_id))
    browser.shows("Finished in state")  # the logs are the last that moves on the page
    assert "20 experiments, 2,000 shots" in read_page(browser)
    shown = "[...document.images].filter(image => image.checkVisibility() && image.naturalWidth > 0).length"
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.until(f"{shown} === 1")
        keep(browser, f"8-sweep-{scheme}")
    browser.click("details summary")
    browser.until(f"{shown} === 21")


def test_a_bad_job_says_what_is_wrong(site: Site, browser: Browser) -> None:
    """The run of a bad job is Failed, with every fault and without a traceback."""
    reopen_form(site, browser)
    browser.type_into(EDITOR, '[["nope",[0],[]]]')
    run = site.run(submit_form(site, browser), "Completed", "Failed")
    assert run["state_name"] == "Failed"
    assert "singlequdit knows" in run["state"]["message"]
    assert "there is no measure" in run["state"]["message"]
    browser.open(site.page(run["id"]))
    browser.shows("Failed", "singlequdit knows", "Finished in state Failed")
    assert "Traceback" not in browser.text()
    keep(browser, "5-bad-run")
    text = read_page(browser)
    assert f"Failed: job {run['name']}" in text
    assert "singlequdit knows" in text
    keep(browser, "6-bad-page")


def test_text_that_is_no_json_can_be_submitted(site: Site, browser: Browser) -> None:
    """The editor of the program takes any text, and the job says what is wrong with it."""
    reopen_form(site, browser)
    browser.type_into(EDITOR, "turn the spin, please")
    run = site.run(submit_form(site, browser), "Completed", "Failed")
    assert "JSON" in run["state"]["message"]


def test_a_job_under_way_is_cancelled(site: Site, browser: Browser) -> None:
    """Cancel on the page of a run ends the job, also of one that came from the queue."""
    job_id = site.installation.submit("multiqudit", LONG)
    (started,) = until(lambda: site.ask("/flow_runs/filter", {"flow_runs": {"name": {"any_": [job_id]}}}), pause=0.2)
    run_id = started["id"]
    site.run(run_id, "Running")
    browser.open(site.page(run_id))
    browser.click_text("Cancel", "button")
    browser.click_text("Confirm", "button")
    run = site.run(run_id, "Cancelled", "Completed", "Failed", "Crashed")
    assert run["state_name"] == "Cancelled"
    browser.shows("Cancelled")
    keep(browser, "7-cancelled")
    assert site.installation.json("status", job_id)["state"] == "CANCELLED"


def test_the_artifacts_of_the_laboratory(site: Site, browser: Browser) -> None:
    """There is a page for each backend, and one of the last verify."""
    site.run(site.launch("verify"), "Completed")
    for name in ("singlequdit", "multiqudit", "fermions", "rydberg"):
        site.artifact(f"backend-{name}")
    browser.open(f"{site.address}/artifacts")
    browser.shows("backend-singlequdit", "backend-fermions", "backend-rydberg", "backend-multiqudit", "verify")
    browser.shows("differences", "0 waiting")
    keep(browser, "9-artifacts")
    for key, words in (
        ("backend-singlequdit", ("cold atomic gas", "running", "What it takes", "sq_full")),
        ("verify", (" verified: no differences",)),
    ):
        browser.open(f"{site.address}/artifacts/artifact/{site.artifact(key)}")
        browser.shows(*words)
        keep(browser, f"10-{key}")
