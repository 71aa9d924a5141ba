"""Old files of ours go; what is used, linked, new or another's stays."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.errors import SettingsError
from app.maintenance.files import remove_old

NOW = datetime.now(UTC)
CUTOFF = NOW - timedelta(hours=24)
OLD = (CUTOFF - timedelta(minutes=1)).timestamp()


def make(path: Path, *, old: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"generated")
    if old:
        os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pafar").mkdir()
    return tmp_path / "pafar"


def test_old_files_go_at_every_depth_and_new_ones_stay(folder: Path) -> None:
    old = [make(folder / "a.pdf"), make(folder / "deep/er/b.pdf")]
    new = [make(folder / "c.pdf", old=False), make(folder / "deep/d.pdf", old=False)]
    assert remove_old(folder, cutoff=CUTOFF, dry_run=True) == 2
    assert all(path.exists() for path in old + new)
    assert remove_old(folder, cutoff=CUTOFF) == 2
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
    assert remove_old(folder, cutoff=CUTOFF) == 0


def test_no_folder_is_a_success_with_none(tmp_path: Path) -> None:
    assert remove_old(tmp_path / "missing", cutoff=CUTOFF) == 0


def test_links_are_neither_followed_nor_removed(folder: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside/precious.pdf")
    links = [folder / "file", folder / "folder", folder / "dangling"]
    for link, target in zip(links, [outside, outside.parent, tmp_path / "nothing"], strict=True):
        link.symlink_to(target)
        os.utime(link, (OLD, OLD), follow_symlinks=False)
    assert remove_old(folder, cutoff=CUTOFF) == 0
    assert outside.exists()
    assert all(link.is_symlink() for link in links)


@pytest.mark.parametrize("lock", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_file_that_somebody_holds_stays_until_it_is_let_go(folder: Path, lock: int) -> None:
    used = make(folder / "export.csv")
    with used.open("rb") as file:
        fcntl.flock(file, lock)
        assert remove_old(folder, cutoff=CUTOFF) == 0
    assert remove_old(folder, cutoff=CUTOFF) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_other_peoples_files_and_folders_are_never_touched(folder: Path) -> None:
    theirs = make(folder / "theirs.pdf")
    os.chown(theirs, 65534, -1)
    theirs_empty = folder / "empty"
    theirs_empty.mkdir()
    os.utime(theirs_empty, (OLD, OLD))
    os.chown(theirs_empty, 65534, -1)
    assert remove_old(folder, cutoff=CUTOFF) == 0
    assert theirs.exists()
    assert theirs_empty.exists()
    os.chown(folder, 65534, -1)
    with pytest.raises(SettingsError, match="TEMP_DIR"):
        remove_old(folder, cutoff=CUTOFF)


def test_a_folder_that_is_a_link_or_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    precious = make(folder / "precious.pdf")
    link = tmp_path / "link"
    link.symlink_to(folder)
    for wrong in (link, precious):
        with pytest.raises(SettingsError, match="TEMP_DIR"):
            remove_old(wrong, cutoff=CUTOFF)
    assert precious.exists()


def test_pipes_and_sockets_are_left_and_hold_nobody_up(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have 107 bytes
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    for name in ("pipe", "socket"):
        os.utime(folder / name, (OLD, OLD))
    assert remove_old(folder, cutoff=CUTOFF) == 0


def test_old_empty_folders_go_uncounted(folder: Path) -> None:
    for name, old in (("old", True), ("new", False), ("full", True)):
        (folder / name).mkdir()
        if name == "full":
            make(folder / "full/a.pdf", old=False)
        if old:
            os.utime(folder / name, (OLD, OLD))
    assert remove_old(folder, cutoff=CUTOFF) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["full", "new"]


def test_a_file_swapped_for_a_link_on_the_way_leads_nowhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = make(tmp_path / "precious.pdf"), make(folder / "a.pdf")
    real_open = os.open

    def swap(path: str, *arguments: int, **options: int) -> int:
        if path == "a.pdf":
            inside.unlink()
            inside.symlink_to(outside)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", swap)
    assert remove_old(folder, cutoff=CUTOFF) == 0
    assert outside.exists()
    assert inside.is_symlink()
