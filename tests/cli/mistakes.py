"""Helpers that make the mistakes of `test_bad_input.py`."""

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import datasets
import pytest
import torch
from conftest import TINY_OPTIONS

from translator.system.checksums import sha256_of, write_checksums

ENOUGH_PAIRS = "".join(
    f"There are {number} chairs.\tHay {number} sillas.\n" for number in range(2, 62)
)


@dataclass(frozen=True)
class Place:
    """The folder of a mistake; a run and its data are copied into it on first use."""

    folder: Path  # the current folder
    trained: Path
    monkeypatch: pytest.MonkeyPatch

    @cached_property
    def run(self) -> Path:
        """A finished run that may be damaged."""
        return Path(shutil.copytree(self.trained, self.folder / "run"))

    @cached_property
    def data(self) -> Path:
        """The data the run was trained on."""
        return Path(shutil.copytree(self.trained.parents[1] / "data", self.folder / "data"))

    def write(self, name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        return name


@dataclass(frozen=True)
class Mistake:
    """A mistake: `make` makes it and returns the command; the error must contain all of `said`."""

    name: str
    make: Callable[[Place], list[str]]
    said: tuple[str, ...]


def pairs_file(
    content: str | bytes, *options: str, name: str = "p.tsv"
) -> Callable[..., list[str]]:
    return lambda place: ["prepare", f"--corpus.files={place.write(name, content)}", *options]


def yaml_file(content: str) -> Callable[[Place], list[str]]:
    return lambda place: ["prepare", "--config", place.write("c.yaml", content)]


def command(*argv: str) -> Callable[[Place], list[str]]:
    return lambda place: list(argv)


def on_run(*argv: str, damage: Callable[[Path], None]) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        damage(place.run)
        return [argv[0], "--run-dir", "run", *argv[1:]]

    return make


def go_on(damage: Callable[[Path], None], *options: str) -> Callable[[Place], list[str]]:
    """Resume a run that was stopped before its end."""

    def make(place: Place) -> list[str]:
        edit_manifest(place.run, state="training")
        damage(place.run)
        command = ["train", "--run-dir", "run", *TINY_OPTIONS, f"--data-dir={place.data}"]
        return [*command, *options]

    return make


def with_file(
    name: str, content: str, make: Callable[[Place], list[str]]
) -> Callable[[Place], list[str]]:
    """A command, with a file that it needs."""

    def write_and_make(place: Place) -> list[str]:
        place.write(name, content)
        return make(place)

    return write_and_make


def guided_by(content: str) -> Callable[[Place], list[str]]:
    """Train with guided alignment; the file repeats this line for every pair."""

    def make(place: Place) -> list[str]:
        manifest = json.loads((place.trained / "run.json").read_text(encoding="utf-8"))
        links = place.write("links", content * manifest["corpus"]["train_pairs"])
        options = [
            *TINY_OPTIONS,
            f"--data-dir={place.data}",
            f"--training.guided_alignment={links}",
        ]
        return ["train", "--run-dir", "new", *options]

    return make


def unreadable(*argv: str) -> Callable[[Place], list[str]]:
    """A command on a path in the folder "closed", which this user may not enter."""

    def make(place: Place) -> list[str]:
        stat = Path.stat

        def refuse(path: Path, **options: bool) -> os.stat_result:
            if "closed" in path.parts:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return stat(path, **options)

        place.monkeypatch.setattr(Path, "stat", refuse)
        return [argument.replace("RUN", str(place.trained)) for argument in argv]

    return make


def edit_manifest(run: Path, **changes: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


def scored_on(gold: str) -> Callable[[Place], list[str]]:
    return with_file("g.tsv", gold, on_run("align", "--gold=g.tsv", damage=unchanged))


def cut_in_half(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: len(data) // 2])

    return damage


def flip_a_bit(name: str, place: float) -> Callable[[Path], None]:
    """Flip one bit of a file; `place` is its position as a share of the length."""

    def damage(run: Path) -> None:
        data = bytearray((run / name).read_bytes())
        data[int(place * len(data))] ^= 1
        (run / name).write_bytes(data)

    return damage


def replace_by(name: str, content: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_text(content, encoding="utf-8")

    return damage


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        text = (run / name).read_text(encoding="utf-8")
        assert old in text
        replace_by(name, text.replace(old, new))(run)

    return damage


def unchanged(run: Path) -> None:
    pass


def without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def plant_code(run: Path) -> None:
    """Plant a state whose unpickling would run code, which would create a file."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (run.parent / "exploded",))

    torch.save({"progress": Bomb()}, run / "training_state.pt")


def stdin_of(place: Place, data: bytes) -> None:
    place.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def translate_latin1(place: Place) -> list[str]:
    stdin_of(place, b"Good evening.\nThe caf\xe9 is open.\n")
    return ["translate", "--run-dir", str(place.run)]


def hub_data_set(*rows: dict[str, object]) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        place.monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: list(rows))
        return ["prepare", "--corpus.hub_name=pairs"]

    return make


def without_package(name: str, make: Callable[[Place], list[str]]) -> Callable[[Place], list[str]]:
    def make_without(place: Place) -> list[str]:
        place.monkeypatch.setitem(sys.modules, name, None)
        return make(place)

    return make_without


def exported(model: str) -> Callable[[Path], None]:
    """Write what `translator export` writes, except the model."""

    def damage(run: Path) -> None:
        folder = run / "ctranslate2" / "float32"
        folder.mkdir(parents=True)
        (folder / "model.bin").write_text(model)
        weights = "weights.safetensors"
        write_checksums(folder.parent, {f"../{weights}": sha256_of(run / weights)})

    return damage


def exported_before(run: Path) -> None:
    exported("x")(run)
    flip_a_bit("weights.safetensors", 0.7)(run)


def translate_without_cuda(place: Place) -> list[str]:
    """Ask for CUDA, and hide the GPU of machines that have one."""
    place.monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return ["translate", "--run-dir", str(place.run), "--device", "cuda", "Hello."]


def evaluate_files(src: str, *references: str) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        names = [place.write(f"ref{i}.txt", text) for i, text in enumerate(references)]
        src_name = place.write("src.txt", src)
        return ["evaluate", "--run-dir", str(place.run), "--src", src_name, "--ref", *names]

    return make


def aligned_files(first: str, second: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        "prepare",
        f"--corpus.files=[{place.write('a.en', first)},{place.write('a.es', second)}]",
    ]


def many_letters() -> str:
    """Return text with more different characters than a vocabulary of 300 can hold."""
    lines = (f"{chr(0x4E00 + i)} stands alone.\t{chr(0x6E00 + i)} va sola.\n" for i in range(400))
    return "".join(lines)
