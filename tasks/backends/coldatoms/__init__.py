"""Simulators of cold atoms."""
