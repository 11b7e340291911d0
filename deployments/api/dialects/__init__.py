"""The APIs of other front ends, a file each, over the same calls as our own."""
