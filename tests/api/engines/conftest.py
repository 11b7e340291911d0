"""A laboratory whose devices engines outside serve."""

import os
from collections.abc import Iterator

import pytest

from tests.api.conftest import FrontDoor, front_door
from tests.api.engines.engine_calls import EngineCalls, describe
from tests.api.oqtopus_laboratory import Oqtopus


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory of alice, with two devices outside; of one the engine has jobs by listing them."""
    devices = tmp_path_factory.mktemp("devices")
    describe(devices)
    describe(devices, "osaka", jobs="on_list")
    environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("QULEDGER_")}
    os.environ["QULEDGER_DEVICES"] = str(devices)
    with front_door(tmp_path_factory.mktemp("laboratory"), devices=devices) as door:
        door.add_user("alice")
        yield door
    del os.environ["QULEDGER_DEVICES"]
    os.environ.update(environment)


@pytest.fixture
def alice(outside: FrontDoor) -> Oqtopus:
    """A user of the laboratory."""
    return Oqtopus(outside, "alice")


@pytest.fixture(scope="module")
def engine(outside: FrontDoor) -> EngineCalls:
    """The engine of the device kawasaki."""
    return EngineCalls(outside)
