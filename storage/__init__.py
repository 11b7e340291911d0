"""Where things are kept: documents in a storage, events in a database."""
