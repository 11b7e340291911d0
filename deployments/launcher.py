#!python
"""The program `quledger`: installed under this name, it begins with our own packages.

Ours have plain names (`models`, `storage`), and a `PYTHONPATH` may hold somebody else's of the same names. So this file
imports nothing but Python's own before it has seen to it that the folders of `PYTHONPATH` are searched last.
"""

import os
import sys


def search_ours_first() -> None:
    """Look for modules where this program is installed, and in the folders of `PYTHONPATH` last."""
    given = os.environ.get("PYTHONPATH", "")
    named = {os.path.abspath(place) for place in given.split(os.pathsep)} if given else set()
    # The first one is the folder of this script, which holds no modules.
    found = [os.path.abspath(place) for place in sys.path[not sys.flags.safe_path :]]
    ours = [place for place in found if place not in named]
    sys.path[:] = dict.fromkeys([*ours, *(place for place in found if place in named)])


def main() -> None:
    """Run the command line."""
    search_ours_first()
    try:
        from deployments.cli.app import main as run  # noqa: PLC0415 - found now
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
