"""Which release this is, said once."""

from typing import Final

RELEASE: Final = "0.1.0"
