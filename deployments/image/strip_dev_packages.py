"""Uninstalls what Quledger does not need to run: `python -m deployments.image.strip_dev_packages`, for the image.

One lock serves all, so the image is made from it too, and has the linters and the tests' packages until this is run.
"""

import importlib.metadata
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def packages_needed(name: str = "quledger") -> set[str]:
    """Return the packages that a package needs to run here, with those that they need, and itself."""
    found: set[tuple[str, str]] = set()
    waiting = {(canonicalize_name(name), "")}
    while waiting:
        package, extra = waiting.pop()
        found.add((package, extra))
        for line in importlib.metadata.requires(package) or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                waiting |= {(canonicalize_name(wanted.name), each) for each in ("", *wanted.extras)} - found
    return {package for package, _ in found}


def main() -> None:
    """Uninstall all other packages."""
    installed = {canonicalize_name(each.metadata["Name"]) for each in importlib.metadata.distributions()}
    rest = sorted(installed - packages_needed() - {"pip"})
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *rest, "pip"], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
