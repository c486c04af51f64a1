"""Files that only their owner may read, written whole or not at all."""

import os
import tempfile
from pathlib import Path

from deploy.children import Account


def write_private(path: Path, content: bytes, owner: Account | None = None) -> None:
    """Put content at path, mode 0600, in place of what is there; as root, for another owner if one is named."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if owner is not None:
                os.fchown(file.fileno(), owner.uid, owner.gid)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
