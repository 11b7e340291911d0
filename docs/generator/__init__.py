"""The pages of docs/reference that are made from the code: `python -m docs.generator` writes them anew."""
