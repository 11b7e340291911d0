"""Begins the program `quledger` with our own packages, whatever packages of the same names a `PYTHONPATH` holds."""

import os
import sys
from pathlib import Path


def import_ours_first() -> None:
    """Look for modules in our folder first and in those of `PYTHONPATH` last.

    Ours have plain names (`models`, `storage`), which somebody else's packages have too.
    """
    given = os.environ.get("PYTHONPATH", "")
    named = {os.path.abspath(place) for place in given.split(os.pathsep)} if given else set()
    found = [os.path.abspath(place) for place in sys.path[not sys.flags.safe_path :]]
    others = [place for place in found if place not in named]
    root = str(Path(__file__).resolve().parent.parent)
    sys.path[:] = dict.fromkeys([root, *others, *(place for place in found if place in named)])


def main() -> None:
    """Run the command line."""
    import_ours_first()
    from deployments.cli import main as run  # noqa: PLC0415 - found now

    run()


if __name__ == "__main__":
    main()
