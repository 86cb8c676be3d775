"""Files that are written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path


def write_together(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Write files that belong together, each whole.

    All of them are on the disk, beside their places, before the first takes its place: whoever is
    stopped before that, or has no room left, leaves everything as it was. Files to take away go first,
    so that nothing old is ever taken for a description of what is new.

    Args:
        folder: Where to; it is made if it isn't there.
        contents: What to write, by file name; None takes a file away.

    Raises:
        OSError: They can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = {
        name: folder / f".{name}.{os.getpid()}.partial"
        for name, content in contents.items()
        if content is not None
    }
    try:
        for name, content in contents.items():
            if content is not None:
                with partial[name].open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        for name in contents.keys() - partial.keys():
            (folder / name).unlink(missing_ok=True)
        for name, path in partial.items():
            path.replace(folder / name)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
