"""Pure rules: events, jobs, documents, settings and errors; nothing here does any I/O."""
