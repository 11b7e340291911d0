"""Thin steps: each module here is a Prefect task or what it calls."""
