"""`make services`: what it prints works when it is copied, and Ctrl-C leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.installation import PROGRAM, ROOT

JOB = '{"experiment_0": {"instructions": [["measure", [0], []]], "num_wires": 1, "shots": 5}}'


@pytest.mark.slow
def test_the_printed_settings_work_and_all_ends_with_ctrl_c(tmp_path: Path):
    """A job is submitted with each storage and with PostgreSQL, as a person would who copies the lines."""
    services = subprocess.Popen(
        [sys.executable, "-m", "tests.services"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert services.stdout is not None
        text = ""
        end = time.monotonic() + 240
        while "Ctrl-C stops" not in text:
            line = services.stdout.readline()
            assert line, text
            assert time.monotonic() < end
            text += line
        s3, mongo, postgres = (dict(re.findall(r"export (\w+)=(\S+)", part)) for part in text.split("\n# ")[1:])
        for number, settings in enumerate((s3, mongo, postgres)):
            environment = os.environ | settings | {"QULEDGER_HOME": str(tmp_path / str(number))}
            done = subprocess.run(
                [*PROGRAM, "submit", "singlequdit", "-"],
                input=JOB, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            said = subprocess.run(
                [*PROGRAM, "verify", "--no-prefect"],
                env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip
            assert "1 job verified: no differences" in said.stdout, said.stdout + said.stderr
        servers = psutil.Process(services.pid).children(recursive=True)
        assert len(servers) >= 3
    finally:
        os.killpg(services.pid, signal.SIGINT)
        services.communicate(timeout=60)
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert alive == []
