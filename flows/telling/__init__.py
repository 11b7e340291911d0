"""Tells others what happened: by webhook, by mail, as events of Prefect."""
