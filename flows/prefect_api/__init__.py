"""All that is asked of Prefect, and told to it."""
