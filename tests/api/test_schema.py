"""What the OpenAPI document promises, tried with requests that it allows and with such that it does not.

`make fuzz` sets QULEDGER_TEST_FUZZ: then it is tried for so many seconds, at random and in sequences.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import FrontDoor

SECONDS = os.environ.get("QULEDGER_TEST_FUZZ", "")
PHASES = ["--max-time", SECONDS] if SECONDS else ["--phases", "examples,coverage", "--max-time", "60"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_answer_is_one_that_is_not_described(door: FrontDoor, tmp_path: Path) -> None:
    """And none is 500; a stream of events, which does not end by itself, has tests of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{door.url}/v1/openapi.json"),
            *("--header", f"Authorization: Bearer {door.token('alice')}"),
            *("--exclude-path", "/v1/jobs/{job_id}/events"),
            # Which documents and programs are good no schema says, and what was deleted there may be another's.
            *("--exclude-checks", "positive_data_acceptance"),
            *("--no-color", "--continue-on-failure", "--request-timeout", "70", "--generation-deterministic"),
            *PHASES,
        ],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
