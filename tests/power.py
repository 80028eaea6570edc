"""A model of a disk: which files are left if the machine loses its power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# The paths of what is left, relative to the root, with their content; None for a folder.
Files = dict[str, bytes | None]


@dataclass
class Disk:
    """Records what reaches the disk below a folder: only what was synced, in the worst case.

    The content of a file is on the disk as it was when the file was last synced; never before, it
    is empty. The names in a folder may reach the disk at any time, so there are two extremes: those
    of its last sync, and those of now.

    Attributes:
        root: the folder; what is in it at first is on the disk
        calls: the recorded calls, such as "sync run/a.tmp" and "rename run/a"
        cuts: what is left if the power fails after one of these calls, without repetitions, and the
            value of `mark` at that moment
        mark: any number
        synced: what is left for certain when the recording has ended
    """

    root: Path
    calls: list[str] = field(default_factory=list)
    cuts: list[tuple[Files, int]] = field(default_factory=list)
    mark: int = 0
    synced: Files = field(default_factory=dict)
    _contents: dict[int, bytes] = field(default_factory=dict)  # by inode
    # By inode of the folder: the inode of each name, and whether it is a folder.
    _names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)  # descriptors that keep inodes from being reused

    @contextmanager
    def recording(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Record the calls of a block."""
        if not Path("/proc/self/fd").exists():
            pytest.skip("the path of a descriptor is read from /proc")
        fsync, rename, replace = os.fsync, os.rename, os.replace

        def record_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self._synced(Path(f"/proc/self/fd/{descriptor}").readlink())

        def record_rename(old: Path, new: Path) -> None:
            rename(old, new)
            self._called("rename", Path(new))

        def record_replace(old: Path, new: Path) -> None:
            replace(old, new)
            self._called("rename", Path(new))

        for path in (self.root, *self.root.rglob("*")):
            self._synced(path)
        self.calls.clear()
        self.cuts.clear()
        with patch.context() as patched:
            patched.setattr(os, "fsync", record_fsync)
            patched.setattr(os, "rename", record_rename)
            patched.setattr(os, "replace", record_replace)
            try:
                yield
            finally:
                self._cut()
                self.synced = self._with_synced_names()
        for descriptor in self._held:
            os.close(descriptor)

    def _synced(self, path: Path) -> None:
        self._held.append(os.open(path, os.O_RDONLY))
        inode = path.stat().st_ino
        if path.is_dir():
            self._names[inode] = {
                inner.name: (inner.stat().st_ino, inner.is_dir()) for inner in path.iterdir()
            }
        else:
            self._contents[inode] = path.read_bytes()
        self._called("sync", path)

    def _called(self, call: str, path: Path) -> None:
        if not path.is_relative_to(self.root):
            return
        self.calls.append(f"{call} {path.relative_to(self.root)}")
        self._cut()

    def _cut(self) -> None:
        for left in (self._with_synced_names(), self._with_names_of_now()):
            if (left, self.mark) not in self.cuts[-8:]:
                self.cuts.append((left, self.mark))

    def _with_names_of_now(self) -> Files:
        return {
            str(path.relative_to(self.root)): (
                None if path.is_dir() else self._contents.get(path.stat().st_ino, b"")
            )
            for path in self.root.rglob("*")
        }

    def _with_synced_names(self) -> Files:
        left: Files = {}

        def add(folder: int, prefix: str) -> None:
            for name, (inode, is_folder) in self._names.get(folder, {}).items():
                if is_folder:
                    left[prefix + name] = None
                    add(inode, f"{prefix}{name}/")
                else:
                    left[prefix + name] = self._contents.get(inode, b"")

        add(self.root.stat().st_ino, "")
        return left


def put(files: Files, folder: Path) -> Path:
    """Write what is left into a new folder."""
    folder.mkdir()
    for name, content in sorted(files.items()):
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    return folder
