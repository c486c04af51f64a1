"""A session's settings, and whether its edge knows them."""

from regional.profile import BASE, Profile
from regional.session_settings import SessionSettings

OTHER = Profile.of([("client_encoding", "LATIN1"), ("app.x", "\udcff")])


def settings() -> SessionSettings:
    return SessionSettings(BASE, lambda profile: profile.client_encoding or "UTF8")


def test_a_session_begins_with_what_it_has() -> None:
    made = settings()
    assert made.startup is made.present is BASE
    assert made.client_encoding == "UTF8"
    assert not made.are_ahead_of_edge


def test_the_start_is_not_forgotten() -> None:
    made = settings()
    made.change(OTHER)
    assert (made.startup, made.present, made.client_encoding) == (BASE, OTHER, "LATIN1")


def test_the_edge_is_behind_until_it_has_confirmed_every_state() -> None:
    made = settings()
    made.change(OTHER)
    state = made.state(pinned=True)
    assert state.pinned
    assert sorted((one.name, one.value) for one in state.settings) == [
        (b"app.x", b"\xff"),
        (b"client_encoding", b"LATIN1"),
    ]
    made.state(pinned=False)
    made.confirmed()
    assert made.are_ahead_of_edge
    made.confirmed()
    assert not made.are_ahead_of_edge
    made.confirmed()
    made.state(pinned=False)
    assert made.are_ahead_of_edge, "a confirmation too many counts for nothing"
