"""The storages: one small protocol, and what implements it."""
