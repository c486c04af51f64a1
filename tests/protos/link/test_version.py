"""The version of the link's protocol is raised when what the messages mean has changed."""

import hashlib
from typing import Final

import pytest

from protos.errors import RemoteProtocolError
from protos.link import link_pb2
from protos.link.version import PROTOCOL_VERSION, refuse_other

# Of the messages as they were when somebody last decided whether this version still stands for them.
DECIDED: Final = (2, "d70528d062b3cbbf")


def test_each_change_of_the_messages_asks_whether_the_version_is_still_right() -> None:
    digest = hashlib.sha256(link_pb2.DESCRIPTOR.serialized_pb).hexdigest()[:16]
    assert (PROTOCOL_VERSION, digest) == DECIDED, (
        "raise the version, unless older peers lose nothing; then write it here"
    )


def test_a_peer_of_our_own_version_is_welcome() -> None:
    refuse_other(PROTOCOL_VERSION, peer="the edge", own="this pool node")


@pytest.mark.parametrize("theirs", [PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1, 0])
def test_any_other_is_refused_with_the_cure(theirs: int) -> None:
    expected = f"the edge speaks link version {theirs}, this pool node {PROTOCOL_VERSION}; run the same release on both"
    with pytest.raises(RemoteProtocolError, match=f"^{expected}$"):
        refuse_other(theirs, peer="the edge", own="this pool node")
