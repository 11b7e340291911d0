"""Dropbox, in the folders of sqooler's provider."""
