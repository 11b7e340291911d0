"""The backends that come with Quledger, and the registry that finds others."""
