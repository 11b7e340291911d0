"""The program `quledger`."""
