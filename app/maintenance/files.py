"""Old files in the folder for generated files, TEMP_DIR.

Every step goes by descriptors, so that nobody can lead a step elsewhere by swapping a folder for a link. Whoever
works on a file for longer than it may lie here holds an flock(2) on it, shared or exclusive, from its creation on.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from app.core.errors import SettingsError
from app.maintenance.batches import Budget, done

#: Seconds for one run.
BUDGET = 240.0


def remove_old(folder: Path, *, cutoff: datetime, dry_run: bool = False, seconds: float = BUDGET) -> int:
    """Remove our files under `folder` that were last written before `cutoff` (with a zone); returns how many.

    Links, other people's files, files that somebody holds a lock on and what is no regular file stay. Old empty
    folders go too, uncounted. It ends after `seconds`. No folder: 0. Raises SettingsError if the folder is
    another's, or none.
    """
    budget = Budget(seconds)
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError:
        raise SettingsError("TEMP_DIR: must be a folder of our own, not a link or a file") from None
    try:
        if not _is_ours(os.fstat(top)):
            raise SettingsError("TEMP_DIR: belongs to another user; name a folder of our own")
        return _remove_under(top, cutoff.timestamp(), budget, dry_run=dry_run)
    finally:
        os.close(top)


def _remove_under(top: int, oldest_kept: float, budget: Budget, *, dry_run: bool) -> int:
    removed = 0
    for _, folders, files, inside in os.fwalk(".", topdown=False, dir_fd=top):
        here = 0
        for name in files:
            if budget.is_spent():
                return removed + here
            here += _remove_file(name, inside, oldest_kept, dry_run=dry_run)
        for name in () if dry_run else folders:
            _remove_folder(name, inside, oldest_kept)
        done(here)
        removed += here
    return removed


def _remove_file(name: str, inside: int, oldest_kept: float, *, dry_run: bool) -> bool:
    """Remove a file of the folder `inside` if nothing speaks against it."""
    try:
        # A look before opening: to open a pipe or a device may do something.
        if not stat.S_ISREG(os.stat(name, dir_fd=inside, follow_symlinks=False).st_mode):
            return False
        with _opened(name, inside) as file:
            found = os.fstat(file)
            if not (stat.S_ISREG(found.st_mode) and _is_ours(found) and found.st_mtime < oldest_kept):
                return False
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The lock is on the file; the name must still be this file's.
            if not os.path.samestat(found, os.stat(name, dir_fd=inside, follow_symlinks=False)):
                return False
            if not dry_run:
                os.unlink(name, dir_fd=inside)
    except OSError:  # in use (flock), gone meanwhile, or not to be opened: it stays, or somebody else removed it
        return False
    return True


@contextmanager
def _opened(name: str, inside: int) -> Iterator[int]:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=inside)
    try:
        yield file
    finally:
        os.close(file)


def _remove_folder(name: str, inside: int, oldest_kept: float) -> None:
    with suppress(OSError):  # not empty, a link, or gone
        found = os.stat(name, dir_fd=inside, follow_symlinks=False)
        if _is_ours(found) and found.st_mtime < oldest_kept:
            os.rmdir(name, dir_fd=inside)


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()
