"""Users, projects, devices and tokens in the database of the log: control streams, and their views."""
