"""Root's way to run a server that refuses root: the account it runs as, and places that account can reach."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

#: A folder that holds this link keeps its data where the link points.
_LINK = "elsewhere"


def server_user() -> str | None:
    """The account for a server that won't run as root; None to keep our own."""
    return "nobody" if os.geteuid() == 0 else None


def reachable(folder: Path) -> bool:
    """Whether every account may enter `folder`, so all folders above it too."""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


def public_twin(folder: Path) -> Path:
    """A folder of root's that all may enter, under the system's temporary folder, for `folder` alone.

    The same `folder` gets the same twin again; once `folder` was deleted and made anew, an empty one.
    Raises PermissionError if somebody else put something in its place.
    """
    link = folder / _LINK
    if not _has_twin(folder):
        link.unlink(missing_ok=True)
        link.symlink_to(_temporary_folder() / _twin_name(folder))
        shutil.rmtree(link.readlink(), ignore_errors=True)
    twin = link.readlink()
    twin.mkdir(exist_ok=True)
    if twin.is_symlink() or twin.stat().st_uid != 0:
        raise PermissionError(f"{twin} must be root's own folder: delete it and start again")
    twin.chmod(0o755)
    return twin


def remove_twin(folder: Path) -> None:
    """Delete what `public_twin` made for `folder`, if it did."""
    link = folder / _LINK
    if _has_twin(folder):
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def _twin_name(folder: Path) -> str:
    return "pafar-" + hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def _has_twin(folder: Path) -> bool:
    """Whether the link in `folder` leads to its own twin; in a copied clone it leads to the first one's."""
    link = folder / _LINK
    return link.is_symlink() and link.readlink().name == _twin_name(folder)


def _temporary_folder() -> Path:
    """The system's temporary folder; TMPDIR may name one that only root can enter."""
    candidates = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108 - what lies there is checked to be root's
    return next(folder for folder in candidates if folder.is_dir() and reachable(folder))
