"""Every mistake a user can make ends in one line that names it and its mend, and exit code 2."""

import gzip
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line, contents

from translator.cli import main
from translator.run import FORMAT

ENOUGH_PAIRS = "".join(
    f"There are {number} chairs.\tHay {number} sillas.\n" for number in range(2, 62)
)


@dataclass(frozen=True)
class Place:
    """Where a mistake is made."""

    folder: Path  # the current one
    run: Path  # a finished run, to be damaged
    monkeypatch: pytest.MonkeyPatch

    def write(self, name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        return name


@dataclass(frozen=True)
class Mistake:
    """A mistake: what it is, how it is made (it returns the command), what the line must say."""

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


def go_on(damage: Callable[[Path], None]) -> Callable[[Place], list[str]]:
    """Go on with a run that was stopped before its end."""

    def make(place: Place) -> list[str]:
        edit_manifest(place.run, state="training")
        damage(place.run)
        return ["train", "--run-dir", "run", *TINY_OPTIONS, f"--data_dir={place.run.parent}/data"]

    return make


def edit_manifest(run: Path, **changes: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


def cut_in_half(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: len(data) // 2])

    return damage


def replace_by(name: str, content: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_text(content, encoding="utf-8")

    return damage


def unchanged(run: Path) -> None:
    pass


def without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def plant_code(run: Path) -> None:
    """A state whose unpickling would run code: it would leave a file behind."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (run.parent / "exploded",))

    torch.save({"progress": Bomb()}, run / "training_state.pt")


def stdin_of(place: Place, data: bytes) -> None:
    place.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def translate_latin1(place: Place) -> list[str]:
    stdin_of(place, b"Good evening.\nThe caf\xe9 is open.\n")
    return ["translate", "--run-dir", "run"]


def translate_without_cuda(place: Place) -> list[str]:
    """On every machine, one with such a device too."""
    place.monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return ["translate", "--run-dir", "run", "--device", "cuda", "Hello."]


def evaluate_files(src: str, *references: str) -> Callable[[Place], list[str]]:
    def make(place: Place) -> list[str]:
        names = [place.write(f"ref{i}.txt", text) for i, text in enumerate(references)]
        src_name = place.write("src.txt", src)
        return ["evaluate", "--run-dir", "run", "--src", src_name, "--ref", *names]

    return make


def aligned_files(first: str, second: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        "prepare",
        f"--corpus.files=[{place.write('a.en', first)},{place.write('a.es', second)}]",
    ]


def many_letters() -> str:
    """More different characters than a vocabulary of 300 has room for."""
    lines = (f"{chr(0x4E00 + i)} stands alone.\t{chr(0x6E00 + i)} va sola.\n" for i in range(400))
    return "".join(lines)


MISTAKES = [
    # the command line
    Mistake("unknown command", command("trian"), ('"trian"', "train", "translate")),
    Mistake(
        "unknown option",
        command("train", "--training.max_step=5"),
        ('"training.max_step"', '"training.max_steps"'),
    ),
    Mistake("abbreviated option", command("translate", "--beam", "3"), ('"beam"', '"beam-size"')),
    Mistake(
        "a word for a number",
        command("train", "--training.max_steps=many"),
        ("training.max_steps", "int", "many"),
    ),
    Mistake(
        "no such choice", command("evaluate", "--split", "training"), ("dev", "test", "training")
    ),
    Mistake(
        "no such optimizer",
        command("train", "--training.optimizer=sgd"),
        ("training.optimizer", "muon", "adamw", "sgd"),
    ),
    Mistake("an option without its value", command("train", "--config"), ("--config",)),
    # settings that can't be
    Mistake(
        "no steps at all",
        command("train", "--training.max_steps=0"),
        ("training.max_steps", "greater than zero"),
    ),
    Mistake(
        "heads that don't divide the width",
        command("train", "--model.d_model=100", "--model.n_heads=3"),
        ("model.d_model", "100", "model.n_heads", "3"),
    ),
    Mistake(
        "everything dropped",
        command("train", "--model.dropout=1"),
        ("model.dropout", "less than 1"),
    ),
    Mistake(
        "a direction of other languages",
        command("prepare", "--corpus.direction=en-fr"),
        ("en-fr", '"en-es" or "es-en"'),
    ),
    Mistake(
        "the default corpus in other languages",
        command("prepare", "--corpus.languages=[en,fr]", "--corpus.direction=en-fr"),
        ("en–fr", "corpus.files", "corpus.hub_name"),
    ),
    Mistake(
        "two corpora at once",
        lambda place: [
            "prepare",
            f"--corpus.files={place.write('p.tsv', ENOUGH_PAIRS)}",
            "--corpus.hub_name=x",
        ],
        ("corpus.files", "corpus.hub_name", "keep one"),
    ),
    Mistake("a negative seed", command("train", "--seed=-1"), ("seed", "negative")),
    Mistake(
        "a run without a folder of its own",
        command("train", *TINY_OPTIONS, "--run-dir", "."),
        ("--run-dir", "folder of its own"),
    ),
    # configuration files
    Mistake(
        "no configuration file",
        command("train", "--config", "no.yaml"),
        ("no.yaml", "no such configuration file"),
    ),
    Mistake(
        "unknown key in a file",
        yaml_file("model:\n  d_modle: 64\n"),
        ("c.yaml", '"model.d_modle"', '"model.d_model"'),
    ),
    Mistake(
        "a word for a number in a file",
        yaml_file("training:\n  batch_tokens: lots\n"),
        ("c.yaml", "training.batch_tokens", "int"),
    ),
    Mistake("not YAML", yaml_file("model: [1, 2\n"), ("c.yaml",)),
    Mistake("YAML that is a list", yaml_file("- 1\n- 2\n"), ("c.yaml",)),
    # corpora
    Mistake(
        "no such corpus file",
        command("prepare", "--corpus.files=none.tsv"),
        ("none.tsv", "no such file"),
    ),
    Mistake(
        "three corpus files",
        command("prepare", "--corpus.files=[a,b,c]"),
        ("corpus.files", "3 files"),
    ),
    Mistake(
        "Latin-1",
        pairs_file(b"one\tuno\ntwo\tdos\nyear\ta\xf1o\n"),
        ("p.tsv, line 3", "not UTF-8", "0xf1", "iconv"),
    ),
    Mistake("an empty corpus", pairs_file(""), ("p.tsv", "empty")),
    Mistake(
        "one column",
        pairs_file("one\tuno\ntwo\tdos\nthree, tres\n"),
        ("p.tsv, line 3", "one column", "tab"),
    ),
    Mistake("nothing but empty sides", pairs_file("one\t\n\tdos\n"), ("p.tsv", "no pair is left")),
    Mistake("too few pairs", pairs_file("one\tuno\ntwo\tdos\n"), ("p.tsv", "2 pairs are too few")),
    Mistake(
        "a cut-off gzip file",
        pairs_file(gzip.compress(ENOUGH_PAIRS.encode())[:-20], name="p.tsv.gz"),
        ("p.tsv.gz", "can't be read"),
    ),
    Mistake(
        "one of two files is shorter",
        aligned_files("one\ntwo\nthree\n", "uno\ndos\n"),
        ("a.es ends before a.en",),
    ),
    Mistake(
        "a vocabulary too large for the corpus",
        pairs_file(ENOUGH_PAIRS),
        ("tokenizer.vocab_size 8000", "too large", "--tokenizer.vocab_size", "or less"),
    ),
    Mistake(
        "a vocabulary too small for the letters",
        pairs_file(many_letters(), "--tokenizer.vocab_size=300"),
        ("tokenizer.vocab_size 300", "too small", "or more"),
    ),
    Mistake(
        "no such data set",
        command("prepare", "--corpus.hub_name=./nowhere"),
        ("nowhere", "corpus.hub_name", "--corpus.files"),
    ),
    # runs
    Mistake("no run yet", command("translate", "Hello."), ("runs", "translator train")),
    Mistake(
        "a folder that is no run",
        on_run("translate", "Hello.", damage=without("run.json")),
        ("run", "no run there", "run.json"),
    ),
    Mistake(
        "training into a folder that is no run",
        on_run("train", *TINY_OPTIONS, damage=without("run.json")),
        ("run.json",),
    ),
    Mistake(
        "a run of another format",
        on_run("evaluate", damage=lambda run: edit_manifest(run, format=99)),
        ("format 99", f"format {FORMAT}"),
    ),
    Mistake(
        "a run manifest cut off",
        on_run("translate", "Hello.", damage=cut_in_half("run.json")),
        ("run.json", "damaged"),
    ),
    Mistake(
        "a run manifest that isn't an object",
        on_run("translate", "Hello.", damage=replace_by("run.json", "[]")),
        ("run.json", "damaged"),
    ),
    Mistake(
        "no weights yet",
        on_run("translate", "Hello.", damage=without("weights.safetensors")),
        ("weights.safetensors", "first evaluation"),
    ),
    Mistake(
        "weights cut off",
        on_run("translate", "Hello.", damage=cut_in_half("weights.safetensors")),
        ("weights.safetensors", "cut off"),
    ),
    Mistake(
        "weights of another shape",
        on_run(
            "translate",
            "Hello.",
            damage=lambda run: replace_by(
                "config.yaml",
                (run / "config.yaml").read_text(encoding="utf-8").replace("d_ff: 64", "d_ff: 32"),
            )(run),
        ),
        ("weights.safetensors", "config.yaml"),
    ),
    Mistake(
        "a tokenizer cut off",
        on_run("translate", "Hello.", damage=cut_in_half("tokenizer.model")),
        ("tokenizer.model", "SentencePiece"),
    ),
    Mistake(
        "a run's configuration gone",
        on_run("translate", "Hello.", damage=without("config.yaml")),
        ("config.yaml",),
    ),
    Mistake(
        "held-out sentences cut off",
        on_run("evaluate", damage=cut_in_half("test.jsonl")),
        ("test.jsonl, line",),
    ),
    Mistake(
        "held-out sentences with another content",
        on_run("evaluate", damage=replace_by("test.jsonl", '{"text": "Hello."}\n')),
        ("test.jsonl", "damaged"),
    ),
    Mistake(
        "a training state cut off",
        go_on(cut_in_half("training_state.pt")),
        ("training_state.pt", "cut off"),
    ),
    Mistake("a training state that is code", go_on(plant_code), ("training_state.pt", "damaged")),
    Mistake(
        "a training state of something else",
        go_on(lambda run: torch.save({"other": 1}, run / "training_state.pt")),
        ("training_state.pt", "not a state of this run"),
    ),
    Mistake(
        "the corpus changed under a run",
        go_on(
            lambda run: edit_manifest(
                run,
                corpus=json.loads((run / "run.json").read_text(encoding="utf-8"))["corpus"]
                | {"train_sha256": "0"},
            )
        ),
        ("the corpus has changed", "--run-dir"),
    ),
    # evaluate and translate
    Mistake(
        "a source without references",
        command("evaluate", "--run-dir", "run", "--src", "a.txt"),
        ("--src", "--ref"),
    ),
    Mistake(
        "no such source file",
        command("evaluate", "--run-dir", "run", "--src", "a.txt", "--ref", "b.txt"),
        ("a.txt", "no such file"),
    ),
    Mistake(
        "fewer references than sentences",
        evaluate_files("One.\nTwo.\n", "Uno.\nDos.\n", "Uno.\n"),
        ("ref1.txt has 1 lines", "src.txt has 2"),
    ),
    Mistake("nothing to evaluate", evaluate_files("", ""), ("src.txt", "empty")),
    Mistake(
        "no beam",
        on_run("translate", "--beam-size", "0", "Hello.", damage=unchanged),
        ("beam_size",),
    ),
    Mistake(
        "more alternatives than the beam holds",
        on_run("translate", "--n-best", "9", "Hello.", damage=unchanged),
        ("n_best", "beam_size"),
    ),
    Mistake("Latin-1 on standard input", translate_latin1, ("standard input, line 2", "UTF-8")),
    Mistake(
        "a device that isn't there",
        translate_without_cuda,
        ("device cuda", "cpu"),
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_one_clear_line(
    mistake: Mistake,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(trained_run, tmp_path / "run")
    shutil.copytree(trained_run.parents[1] / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    argv = mistake.make(Place(tmp_path, tmp_path / "run", monkeypatch))
    before = contents(tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    last = captured.err.rstrip("\n").splitlines()[-1]
    assert last.startswith("translator: ")
    for part in mistake.said:
        assert part in last
    assert len(last) < 400
    assert not (tmp_path / "exploded").exists()
    assert contents(tmp_path / "run") == before
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_the_largest_vocabulary_it_names_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.tsv").write_text(ENOUGH_PAIRS, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["prepare", "--corpus.files=p.tsv"])
    option = capsys.readouterr().err.partition("set --")[2].split()
    main(["prepare", "--corpus.files=p.tsv", f"--{option[0]}={option[1]}"])
    assert f"vocabulary {option[1]}" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["prepare", "--corpus.files=p.tsv", f"--{option[0]}={int(option[1]) + 1}"])


def test_lines_before_the_bad_one_are_translated(cli: Cli, trained_run: Path) -> None:
    """Also those that wait for a batch to be filled."""
    stdin = b"Good evening.\n" * 9 + b"Caf\xe9\n" + b"Good evening.\n" * 9
    result = cli("translate", "--run-dir", str(trained_run), stdin=stdin)
    assert result.returncode == 2
    assert len(result.stdout.splitlines()) == 9
    assert result.stderr.splitlines()[-1].startswith("translator: standard input, line 10: ")


# --- in a process of its own: what the operating system has a part in -----------------------------


def test_a_mistake_in_a_process_of_its_own(cli: Cli) -> None:
    result = cli("train", "--training.max_step", "5")
    assert_one_clear_line(result, '"training.max_step"', '"training.max_steps"')


def test_without_a_network_the_other_ways_are_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("prepare")
    parts = ["can't be fetched", "--corpus.files", "configs/hub.yaml", "data/downloads"]
    assert_one_clear_line(result, *parts)
    assert not [path for path in (tmp_path / "data").rglob("[!.]*") if path.is_file()]  # but locks


def test_a_data_set_of_the_hub_without_a_network(cli: Cli) -> None:
    options = ["--corpus.hub_name=someone/pairs", "--corpus.hub_config=en-es"]
    result = cli("prepare", *options, env={"HF_HUB_OFFLINE": "1"})
    assert_one_clear_line(result, "someone/pairs en-es train", "--corpus.files pairs.tsv")


def test_a_reader_that_goes_away_ends_it_quietly(trained_run: Path) -> None:
    translate = [sys.executable, "-m", "translator", "translate", "--run-dir", str(trained_run)]
    lines = "Good evening.\n" * 3000
    shell = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$@" | head -n 1', "bash", *translate],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 141
    assert len(shell.stdout.splitlines()) == 1
    assert shell.stderr == ""
