"""The documents of jobs in a storage: taken from the inbox, relayed from the log."""
