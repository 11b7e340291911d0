"""The event log: its tables, its databases, claims and holds."""
