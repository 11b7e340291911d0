"""Pages and figures that Prefect's UI shows."""
