"""What the facts of all histories are."""

from pydantic import BaseModel, ConfigDict


class FactModel(BaseModel):
    """A fact: frozen, and nothing in it that its class does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
