"""A test process of xdist, forked from the one that starts them: what all of them test is imported once."""

import gc
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.python import importtestmodule
from _pytest.warnings import catch_warnings_for_item
from execnet import XSpec
from hypothesis.internal.conjecture.providers import _get_local_constants

from tests import processes_in_waiting

NAME = "tests.xdist_worker"


def fork(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """Import the files of tests that this run is about, and fork a process for each of these specifications.

    Where one cannot be imported they start as ever, and say so as they collect the tests.
    """
    gc.disable()  # nothing of it is garbage
    try:
        with catch_warnings_for_item(config, config.hook, "collect", None):
            for path in _files(config):
                importtestmodule(path, config)
            _get_local_constants()  # Hypothesis would look for them in each process
    except BaseException:  # noqa: BLE001 - also a file that is skipped
        return
    finally:
        gc.enable()
    gc.freeze()
    processes_in_waiting.stand_by([NAME] * len(specs))
    for spec in specs:
        spec.python = f"{shlex.quote(sys.executable)} -m {NAME}"


def _files(config: pytest.Config) -> Iterator[Path]:
    for given in config.args:
        path = config.invocation_params.dir / given.partition("::")[0]
        yield from sorted(path.rglob("test_*.py")) if path.is_dir() else [path]


def main() -> None:
    """Run what execnet gives to Python as a command."""
    exec(sys.argv[-1], {"__name__": "__main__"})


if __name__ == "__main__":
    main()
