"""Archives of jobs: the file, and what is checked of one without any database."""
