"""Child processes for untrusted jobs."""
