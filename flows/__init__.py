"""Order only: each module here is a Prefect flow that calls tasks."""
