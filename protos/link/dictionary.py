"""The dictionary of statement texts: each text crosses a link once (rules 11).

The sending end owns it. It names the slot that a text fills, and from then on the slot's number stands for the text.
Both ends know the same bound and make room for a new text in the same way; frames arrive in the order in which they
were sent, and a new link starts with an empty dictionary, so a slot that is referred to is always filled.
"""

from typing import Final

from protos.errors import RemoteProtocolError

DICTIONARY_BYTES: Final = 16 << 20
MAX_SLOTS: Final = 1 << 16


class DictionarySender:
    """The owner's end: least recently used texts make room."""

    def __init__(self, limit_bytes: int = DICTIONARY_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._slots: dict[bytes, tuple[int, int]] = {}  # name to slot and bytes, least recently used first
        self._free: list[int] = []
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def slot_for(self, name: bytes, text: bytes) -> tuple[int, bytes]:
        """The slot of this text, and the text if it has to be sent; slot 0 is for a text too large to be kept."""
        known = self._slots.pop(name, None)
        if known is not None:
            self._slots[name] = known
            return known[0], b""
        if len(text) > self._limit_bytes // 2:
            return 0, text
        while self._slots and (self._bytes + len(text) > self._limit_bytes or len(self._slots) >= MAX_SLOTS):
            slot, size = self._slots.pop(next(iter(self._slots)))
            self._bytes -= size
            self._free.append(slot)
        slot = self._free.pop() if self._free else len(self._slots) + 1
        self._slots[name] = (slot, len(text))
        self._bytes += len(text)
        return slot, text


class DictionaryReceiver:
    """The other end: it sees each use in the sender's order, so it forgets the same texts at the same moment."""

    def __init__(self, limit_bytes: int = DICTIONARY_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._texts: dict[int, bytes] = {}  # by slot, least recently used first
        self._bytes = 0

    def text_of(self, slot: int, text: bytes) -> bytes:
        """The text that this frame stands for; fills the slot if it brought one."""
        if not text:
            try:
                known = self._texts[slot] = self._texts.pop(slot)
            except KeyError:
                raise RemoteProtocolError(f"statement slot {slot} is empty") from None
            return known
        if slot:
            if slot > MAX_SLOTS or len(text) > self._limit_bytes // 2:
                raise RemoteProtocolError(f"the statement dictionary is over its bound at slot {slot}")
            while self._texts and (self._bytes + len(text) > self._limit_bytes or len(self._texts) >= MAX_SLOTS):
                self._bytes -= len(self._texts.pop(next(iter(self._texts))))
            self._bytes += len(text) - len(self._texts.pop(slot, b""))
            self._texts[slot] = text
        return text

    @property
    def size_bytes(self) -> int:
        return self._bytes
