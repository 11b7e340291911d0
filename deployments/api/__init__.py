"""The front door: one HTTP API, the dialects of older clients, and pages for people, over the same log."""
