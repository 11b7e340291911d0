"""The program's own name: nothing else on a `PYTHONPATH` is called so."""
