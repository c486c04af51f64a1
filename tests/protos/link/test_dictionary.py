"""The dictionary of statement texts: both ends agree whatever is sent, a text crosses once, memory is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import RemoteProtocolError
from protos.link.dictionary import MAX_SLOTS, DictionaryReceiver, DictionarySender

LIMIT = 100


def name_of(number: int) -> bytes:
    return b"s%d" % number


def text_of(number: int) -> bytes:
    """Texts of all sizes, some too large to be kept; each tells its number."""
    return (b"%d " % number) + b"x" * (number * 7 % 61)


@given(numbers=st.lists(st.integers(0, 40), max_size=80))
def test_the_receiver_always_has_the_text_that_was_meant(numbers: list[int]) -> None:
    sender, receiver = DictionarySender(LIMIT), DictionaryReceiver(LIMIT)
    for number in numbers:
        slot, text = sender.slot_for(name_of(number), text_of(number))
        assert receiver.text_of(slot, text) == text_of(number)


@given(numbers=st.lists(st.integers(0, 5), max_size=60))
def test_a_text_crosses_once_while_all_fit(numbers: list[int]) -> None:
    sender = DictionarySender(1000)
    sent = [number for number in numbers if sender.slot_for(name_of(number), text_of(number))[1]]
    assert sorted(sent) == sorted(set(numbers))


def test_the_least_recently_used_text_makes_room() -> None:
    sender = DictionarySender(LIMIT)
    texts = {name: name * 30 for name in (b"a", b"b", b"c", b"d")}
    for name in (b"a", b"b", b"c", b"a", b"d"):  # d needs the room of b
        sender.slot_for(name, texts[name])
    assert [bool(sender.slot_for(name, texts[name])[1]) for name in (b"a", b"c", b"d", b"b")] == [
        False,
        False,
        False,
        True,
    ]


def test_a_slot_that_was_freed_is_filled_anew() -> None:
    sender, receiver = DictionarySender(LIMIT), DictionaryReceiver(LIMIT)
    slots = []
    for number in range(20):
        slot, text = sender.slot_for(name_of(number), b"%2d" % number * 25)
        slots.append(slot)
        receiver.text_of(slot, text)
    assert set(slots) == {1, 2}
    assert receiver.size_bytes == LIMIT


def test_a_text_too_large_to_be_kept_crosses_each_time_and_evicts_nothing() -> None:
    sender, receiver = DictionarySender(LIMIT), DictionaryReceiver(LIMIT)
    small = sender.slot_for(b"small", b"text")[0]
    large = b"x" * (LIMIT // 2 + 1)
    for _ in range(2):
        assert sender.slot_for(b"large", large) == (0, large)
        assert receiver.text_of(0, large) == large
    assert receiver.size_bytes == 0
    assert sender.slot_for(b"small", b"text") == (small, b"")


def test_there_are_no_more_slots_than_the_receiver_takes() -> None:
    sender = DictionarySender()
    slots = {sender.slot_for(b"%d" % number, b"x")[0] for number in range(MAX_SLOTS + 10)}
    assert slots == set(range(1, MAX_SLOTS + 1))


# --- a peer that breaks the protocol ---


@pytest.mark.parametrize("slot", [0, 1, MAX_SLOTS + 1])
def test_an_empty_slot_stands_for_nothing(slot: int) -> None:
    with pytest.raises(RemoteProtocolError, match="empty"):
        DictionaryReceiver().text_of(slot, b"")


def test_a_slot_beyond_the_last_is_refused() -> None:
    receiver = DictionaryReceiver()
    receiver.text_of(MAX_SLOTS, b"text")
    with pytest.raises(RemoteProtocolError, match="bound"):
        receiver.text_of(MAX_SLOTS + 1, b"text")


def test_a_text_too_large_to_be_kept_fills_no_slot() -> None:
    with pytest.raises(RemoteProtocolError, match="bound"):
        DictionaryReceiver(LIMIT).text_of(1, b"x" * (LIMIT // 2 + 1))


def test_a_sender_that_ignores_the_bound_gains_nothing() -> None:
    receiver = DictionaryReceiver(LIMIT)
    for slot in range(1, 10):
        receiver.text_of(slot, b"x" * (LIMIT // 2))
        assert receiver.size_bytes <= LIMIT
    with pytest.raises(RemoteProtocolError, match="empty"):
        receiver.text_of(1, b"")
    receiver.text_of(9, b"y")
    assert receiver.size_bytes == 1


@given(uses=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60)), max_size=200))
def test_both_ends_stay_within_the_bound_whatever_is_used(uses: list[tuple[int, int]]) -> None:
    sender, receiver = DictionarySender(LIMIT), DictionaryReceiver(LIMIT)
    for number, size in uses:
        name, meant = b"%d of %d" % (number, size), b"x" * size
        assert receiver.text_of(*sender.slot_for(name, meant)) == meant
        assert receiver.size_bytes == sender.size_bytes <= LIMIT
