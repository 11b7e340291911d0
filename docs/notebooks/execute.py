"""Run a notebook: `execute.py NOTEBOOK TO FOLDER`; the run one is written, and each figure in the folder."""

import base64
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SECONDS = 300


def execute(notebook: Path, to: Path, pictures: Path) -> None:
    """Run it; what goes wrong in a cell is raised.

    Args:
        to: the notebook with its outputs.
        pictures: folder of the figures, `NAME.png` of the last one of each notebook.
    """
    content = nbformat.read(notebook, as_version=4)
    NotebookClient(content, timeout=SECONDS, kernel_name="python3").execute()
    nbformat.write(content, to)
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                (pictures / f"{notebook.stem}.png").write_bytes(base64.b64decode(output["data"]["image/png"]))


if __name__ == "__main__":
    execute(*map(Path, sys.argv[1:]))
