"""The log compared with all that repeats it, and made again from it."""
