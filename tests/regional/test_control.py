"""The seam holds: the fake of the admin tests is a Control, and a status goes through JSON."""

import msgspec

from regional.control import Control, Status
from tests.regional.admin.fakes import STATUS, FakeControl


def test_the_fake_is_a_control() -> None:
    control: Control = FakeControl()
    assert control.status() == STATUS


def test_a_status_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(STATUS), type=Status) == STATUS
