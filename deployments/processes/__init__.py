"""The processes that run flows: drain, worker, servers."""
