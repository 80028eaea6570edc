"""Every command as a user runs it: in a separate process, on real files."""

import json
import os
import re
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PAIRS, TINY_OPTIONS, Cli, assert_one_clear_line, contents

from translator import load
from translator.cli import COMMANDS, main
from translator.config import NO_VARIATION, save_config
from translator.config.parsing import load_config
from translator.errors import TranslatorError
from translator.inference import translator as inference
from translator.runs.listing import describe_age, list_runs
from translator.runs.run import Run

FILES_OF_A_RUN = {
    "attention",
    "attention.png",
    "config.yaml",
    "curves.png",
    "dev.jsonl",
    "lexicon.json",
    "metrics.jsonl",
    "report.md",
    "run.json",
    "test.jsonl",
    "tokenizer.model",
    "training_state.previous.safetensors",
    "training_state.safetensors",
    "weights.safetensors",
}
SENTENCES = [
    "The baker opens at seven.",
    "My grandmother grows roses.",
    "Where does the boat leave from?",
]


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def run_copy(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "runs" / "copy"))


# --- prepare and train ----------------------------------------------------------------------------


def test_prepare_prints_its_table(cli: Cli) -> None:
    result = cli("prepare", *TINY_OPTIONS)
    assert result.returncode == 0, result.stderr
    rows = [line.rsplit("  ", 1) for line in result.stdout.splitlines()]
    table = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    assert table["corpus"] == PAIRS.name
    assert table["pairs read"] == str(len(PAIRS.read_text(encoding="utf-8").splitlines()))
    assert table["vocabulary"] == "300"
    assert table["test: sources seen in training"] == "0"


def test_train_writes_a_complete_run_and_shows_examples(cli: Cli, tmp_path: Path) -> None:
    result = cli("train", *TINY_OPTIONS, "--seed=7", "--training.max_steps=40")
    assert result.returncode == 0, result.stderr
    run = tmp_path / "runs" / "quickstart"
    assert {path.name for path in run.iterdir()} == FILES_OF_A_RUN
    assert sorted(path.name for path in (run / "attention").iterdir()) == [
        "step-0000020.png",
        "step-0000040.png",
    ]
    for picture in ("curves.png", "attention.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")
    sources = [json.loads(line)["src"] for line in (run / "test.jsonl").open(encoding="utf-8")]
    shown = [
        line.split(maxsplit=1)[1]
        for line in result.stdout.splitlines()
        if line.startswith("source ")
    ]
    assert len(shown) == 10
    assert set(shown) <= set(sources)
    manifest = read_json(run / "run.json")
    scores = manifest["scores"]["test, beam 5"]
    assert f"{scores['bleu']:.2f}" in result.stdout
    assert f"{scores['chrf']:.2f}" in result.stdout
    report = (run / "report.md").read_text(encoding="utf-8")
    for part in (
        PAIRS.name,
        manifest["corpus"]["licence"],
        scores["split_sha256"],
        manifest["corpus"]["train_sha256"][:16],
        scores["bleu_signature"].replace("|", r"\|"),
        scores["chrf_signature"].replace("|", r"\|"),
        "seed: 7",
        *shown,
    ):
        assert part in report


def test_a_finished_run_is_left_as_it_is(cli: Cli, run_copy: Path) -> None:
    before = contents(run_copy)
    result = cli("train", *TINY_OPTIONS, "--run-dir", str(run_copy))
    assert result.returncode == 0
    assert "finished" in result.stderr
    assert contents(run_copy) == before


def test_another_configuration_is_refused_with_its_keys(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run_copy)
    changed = ["--seed=2", "--model.dropout=0.3"]
    with pytest.raises(SystemExit, match="2"):
        main(["train", *TINY_OPTIONS, *changed, "--run-dir", str(run_copy)])
    [line] = capsys.readouterr().err.splitlines()
    assert "configuration: model.dropout, seed differ;" in line
    assert contents(run_copy) == before


def test_the_opposite_direction_trains_on_the_same_split(trained_run: Path, tmp_path: Path) -> None:
    opposite = ["--corpus.direction=es-en", "--training.max_steps=2", "--training.evaluations=1"]
    folders = [f"--run-dir={tmp_path / 'back'}", f"--data-dir={tmp_path / 'data'}"]
    main(["train", *TINY_OPTIONS, *opposite, *folders])
    english, spanish = zip(
        *(line.split("\t")[:2] for line in PAIRS.read_text(encoding="utf-8").splitlines()),
        strict=True,
    )
    for split in ("dev", "test"):
        lines = (tmp_path / "back" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line) for line in lines]
        assert {example["src"] for example in examples} <= set(spanish)
        assert {ref for example in examples for ref in example["references"]} <= set(english)
    forth, back = (
        read_json(run / "run.json")["corpus"]["train_pairs"]
        for run in (trained_run, tmp_path / "back")
    )
    assert forth == back


# --- evaluate -------------------------------------------------------------------------------------


def test_evaluate_gives_the_same_as_json_and_as_a_table(
    cli: Cli, trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["evaluate", "--run-dir", str(trained_run)]
    result = json.loads(cli(*options, "--json").stdout)
    main(options)
    plain = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    for key in ("bleu_signature", "chrf_signature", "split_sha256"):
        assert plain[key] == result[key]
    for key in ("bleu", "chrf", "sentences", "references"):
        assert round(float(plain[key]), 2) == round(result[key], 2)
    assert result == read_json(trained_run / "run.json")["scores"]["test, beam 5"]


def test_evaluate_finds_the_best_dev_score_again(
    trained_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--split", "dev", "--beam-size", "1", "--json"]
    main(["evaluate", "--run-dir", str(trained_run), *options])
    result = json.loads(capsys.readouterr().out)
    assert result["bleu"] == read_json(trained_run / "run.json")["progress"]["best_bleu"]


def test_evaluate_on_own_files_agrees_with_sacrebleu(
    cli: Cli, trained_run: Path, tmp_path: Path
) -> None:
    """Both score the output of `translate`."""
    options = ["--run-dir", str(trained_run), "--beam-size", "3"]
    # Copied names make a line long enough for a score.
    sources = [*SENTENCES, "Ana, Luis, Pablo, Marta and Eva sing."]
    (tmp_path / "src").write_text("\n".join(sources) + "\n", encoding="utf-8")
    translated = cli("translate", *options, stdin="\n".join(sources)).stdout
    (tmp_path / "hyp").write_text(translated, encoding="utf-8")
    # The references resemble the translations, since two scores of 0 would prove little.
    lines = translated.splitlines()
    references = [[f"{line} Fin." for line in lines], [*lines[:1], "Rosas.", "¿De dónde?", "No."]]
    for name, reference in zip(("ref1", "ref2"), references, strict=True):
        (tmp_path / name).write_text("\n".join(reference) + "\n", encoding="utf-8")

    ours = json.loads(
        cli("evaluate", *options, "--src", "src", "--ref", "ref1", "ref2", "--json").stdout
    )
    arguments = ["ref1", "ref2", "-i", "hyp", "-m", "bleu", "chrf", "--format", "json", "-w", "9"]
    bleu, chrf = json.loads(cli(*arguments, program=("-m", "sacrebleu")).stdout)
    assert 1 < ours["bleu"] < 99
    assert (round(ours["bleu"], 9), round(ours["chrf"], 9)) == (bleu["score"], chrf["score"])
    assert ours["bleu_signature"] == bleu["signature"]
    assert ours["chrf_signature"] == chrf["signature"]
    assert (ours["sentences"], ours["references"]) == (4, 8)


# --- translate ------------------------------------------------------------------------------------


def test_translate_gives_a_line_for_each_line_in_order(cli: Cli, trained_run: Path) -> None:
    lines = [SENTENCES[0], "", SENTENCES[1], "  \t", SENTENCES[2], SENTENCES[0]]
    result = cli(
        "translate", "--run-dir", str(trained_run), "--beam-size", "1", stdin="\n".join(lines)
    )
    translator = load(trained_run)
    expected = [translator.translate([line], beam_size=1)[0].text for line in lines]
    assert result.stdout.split("\n") == [*expected, ""]
    assert (expected[1], expected[3]) == ("", "  \t")
    assert expected[0] != expected[2]


def test_translate_takes_texts_as_arguments(cli: Cli, trained_run: Path) -> None:
    result = cli("translate", *SENTENCES, "--run-dir", str(trained_run))
    expected = [translation.text for translation in load(trained_run).translate(SENTENCES)]
    assert result.stdout.splitlines() == expected


@pytest.mark.parametrize(
    "command", [["translate", "Good."], ["evaluate", "--src=a.txt", "--ref=a.txt"]]
)
@pytest.mark.parametrize("options", [[], ["--no-loop-guard"]])
def test_the_loop_guard_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str], options: list[str]
) -> None:
    guards = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("Good.\n", encoding="utf-8")

    def note(*arguments: object, loop_guard: bool) -> None:
        guards.append(loop_guard)
        raise TranslatorError("nothing is loaded")

    monkeypatch.setattr(inference, "load_translator", note)
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--run-dir=any", *options])
    assert guards == [not options]


def test_alternatives_have_the_number_of_their_line_and_a_score(
    cli: Cli, trained_run: Path
) -> None:
    options = ["--run-dir", str(trained_run), "--n-best", "3", "--beam-size", "4", "--scores"]
    result = cli("translate", *options, stdin="\n".join(SENTENCES))
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert sorted({int(number) for number, _, _ in rows}) == [1, 2, 3]
    for number, translation in enumerate(
        load(trained_run).translate(SENTENCES, n_best=3, beam_size=4), start=1
    ):
        mine = [(text, float(score)) for n, score, text in rows if int(n) == number]
        assert [text for text, _ in mine] == [text for text, _ in translation.alternatives]
        scores = [score for _, score in translation.alternatives]
        assert [score for _, score in mine] == pytest.approx(scores, abs=1e-4)


def test_warnings_go_to_standard_error_with_the_line(cli: Cli, trained_run: Path) -> None:
    stdin = f"{SENTENCES[0]}\nThe huose.\n"
    result = cli("translate", "--run-dir", str(trained_run), stdin=stdin)
    assert len(result.stdout.splitlines()) == 2
    [warning] = [line for line in result.stderr.splitlines() if "huose" in line]
    assert warning == 'line 2: "huose" is read as "house"'


def test_the_run_trained_last_is_the_default(
    run_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other run is damaged, so that using it would fail."""
    other = Path(shutil.copytree(run_copy, run_copy.with_name("other"))) / "weights.safetensors"
    other.write_bytes(b"damaged")
    os.utime(run_copy / "weights.safetensors", (2000, 2000))
    monkeypatch.chdir(tmp_path)
    os.utime(other, (1000, 1000))
    main(["translate", "Yes."])
    assert len(capsys.readouterr().out.splitlines()) == 1
    os.utime(other, (3000, 3000))
    with pytest.raises(SystemExit):
        main(["translate", "Yes."])
    assert "runs/other/weights.safetensors" in capsys.readouterr().err


# --- help, and the way in -------------------------------------------------------------------------


def test_runs_are_listed_with_their_state_and_scores(
    cli: Cli, tmp_path: Path, trained_run: Path
) -> None:
    runs = tmp_path / "runs"
    for name in ("done", "halfway", "broken", "busy"):
        shutil.copytree(trained_run, runs / name)
    for name in ("halfway", "busy"):
        manifest = read_json(runs / name / "run.json")
        del manifest["scores"]
        (runs / name / "run.json").write_text(json.dumps(manifest | {"state": "training"}))
    (runs / "broken" / "run.json").write_text("{")
    (runs / "no run").mkdir()
    with Run(runs / "busy").locked():
        table = cli("runs").stdout
        listed = [json.loads(line) for line in cli("runs", "--json").stdout.splitlines()]
    rows = {row["run"]: row for row in listed}
    assert {name: row["state"] for name, row in rows.items() if name != "broken"} == {
        "done": "finished", "halfway": "stopped", "busy": "training"
    }  # fmt: skip
    assert "damaged" in rows["broken"]["state"]
    done = rows["done"]
    assert (
        done["test BLEU"] == read_json(trained_run / "run.json")["scores"]["test, greedy"]["bleu"]
    )
    assert done["direction"] == "en-es"
    assert rows["halfway"]["test BLEU"] is None
    assert (done["step"], done["max_steps"]) == (60, 60)
    written = datetime.fromisoformat(done["written"])
    assert written.utcoffset() == timedelta(0)
    assert timedelta(0) < datetime.now(UTC) - written < timedelta(hours=1)
    [shown] = [line for line in table.splitlines() if line.startswith("done")]
    assert " 60/60 " in shown
    assert shown.endswith(" ago")
    assert rows["broken"]["step"] is None
    assert [line.split()[0] for line in table.splitlines()[2:]] == list(rows)
    assert list(rows)[-1] == "done"  # the others were written later


@pytest.mark.parametrize(
    ("ahead", "written"),
    [
        (-3 * 86_400 - 9, "3 d ago"),
        (0, "0 s ago"),
        (2 * 3_600 + 9, "2 h after this clock's time"),
        (9e8, "10416 d after this clock's time"),
    ],
)
def test_the_age_of_a_run_follows_this_clock(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, written: str
) -> None:
    for path in run_copy.iterdir():
        os.utime(path, (1e9 + ahead, 1e9 + ahead))
    monkeypatch.setattr("translator.runs.listing.time.time", lambda: 1e9)
    [summary] = list_runs(run_copy.parent)
    assert (summary.state, describe_age(summary.written)) == ("finished", written)


def test_a_missing_run_is_reported(cli: Cli) -> None:
    assert_one_clear_line(cli("runs"), "no run in runs/", "translator train")


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_has_an_example(cli: Cli, verb: str) -> None:
    result = cli(verb, "--help")
    assert result.returncode == 0
    assert f"Example: translator {verb} " in " ".join(result.stdout.split())


def test_without_a_command_all_are_listed(cli: Cli) -> None:
    result = cli()
    assert result.returncode == 0
    for verb in ("prepare", "tokenizer", "train", "evaluate", "translate"):
        assert f"\n  {verb} " in result.stdout


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"translator {version('translator')}\n"


@pytest.mark.parametrize("verb", ["train", "prepare", "tokenizer"])
def test_options_are_written_with_hyphens(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Except the keys of settings, which are written as in a file."""
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    described = re.findall(r"^  (--[\w.-]+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert "--data-dir" in described
    assert [option for option in described if "_" in option and "." not in option] == []


def test_the_installed_command_is_the_same() -> None:
    [script] = entry_points(group="console_scripts", name="translator")
    assert script.load() is main


def test_the_python_api_translates(trained_run: Path) -> None:
    [translation] = load(str(trained_run), device="cpu").translate(["Good evening."])
    assert isinstance(translation.text, str)
    assert translation.text
    assert translation.score < 0


def test_settings_come_from_files_and_options_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regardless of the position of --config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text("tokenizer:\n  vocab_size: 200\nseed: 3\n")
    options = [f"--corpus.files={PAIRS}", "--tokenizer.vocab_size=150", "--config", "small.yaml"]
    main(["prepare", *options])
    [row] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("vocabulary")]
    assert row.split() == ["vocabulary", "150"]


def test_options_may_fix_contradictions_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fr.yaml").write_text("corpus:\n  languages: [en, fr]\n")
    options = [f"--config={tmp_path / 'fr.yaml'}", f"--corpus.files={PAIRS}"]
    options += ["--tokenizer.vocab_size=300", f"--data-dir={tmp_path / 'data'}"]
    main(["prepare", *options, "--corpus.direction=fr-en"])
    assert "fr-en" in capsys.readouterr().out


def test_output_is_utf8_in_every_locale(cli: Cli, trained_run: Path) -> None:
    run = ["--run-dir", str(trained_run)]
    result = cli("translate", *run, "Good.", "猫", env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1] == "猫"


def test_the_tables_of_the_report_have_all_columns(trained_run: Path) -> None:
    """A sacrebleu signature contains the column separator."""
    rows = (trained_run / "report.md").read_text(encoding="utf-8").splitlines()
    tables = [row for row in rows if row.startswith("| test") or row.startswith("|       ")]
    assert len(tables) >= 3
    assert {row.replace("\\|", "").count("|") for row in tables} == {7}


def printed_settings(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The settings that `train` would use."""
    with pytest.raises(SystemExit, match="0"):
        main(["train", *options, "--print-config"])
    settings: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return settings


def test_the_time_budget_decides_settings_that_are_left_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hour = "--training.max_minutes=60"
    down = printed_settings(capsys)["model"]
    wide = printed_settings(capsys, hour)["model"]
    assert wide["d_model"] > down["d_model"]
    assert printed_settings(capsys, hour, "--model.dropout=0.4")["model"] == wide | {"dropout": 0.4}
    own = tmp_path / "own.yaml"
    own.write_text("model:\n  d_ff: 100\ntraining:\n  max_minutes: 60\n")
    assert printed_settings(capsys, f"--config={own}")["model"] == down | {"d_ff": 100}
    own.write_text("model:\n  dropout: 0.4\ntraining:\n  max_minutes: 60\n")
    assert printed_settings(capsys, f"--config={own}")["model"] == wide | {"dropout": 0.4}
    both = printed_settings(capsys, f"--config={own}", "--training.max_minutes=10")["model"]
    assert both == down | {"dropout": 0.4}


@pytest.mark.parametrize(
    "options",
    [
        ["--training.max_minutes=30", "--model.d_model=256"],
        ["--training.max_minutes=60", "--model.n_heads=8"],
        ["--training.max_minutes=60", '--model={"d_model": 66}'],
        ["--training.max_minutes=60", "--training.max_steps=100"],
    ],
)
def test_settings_of_the_model_do_not_collide_with_the_time_budget(
    capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    model = printed_settings(capsys, *options)["model"]
    assert (model["d_ff"], model["dropout"]) == (512, 0.0)
    assert model["d_model"] % (2 * model["n_heads"]) == 0


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--variation", "off"], {}),
        (["--variation=off"], {}),
        (["--variation=off", "--variation.names=0.2"], {"names": 0.2}),  # the later one counts
        (["--variation.names=0.2", "--variation", "off"], {}),
        (["--config=off.yaml"], {}),
        (["--variation.names=0.2", "--config=off.yaml"], {"names": 0.2}),  # options win
    ],
    ids=" ".join,
)
def test_variation_can_be_switched_off(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: list[str],
    changed: dict[str, float],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "off.yaml").write_text("variation: off\n", encoding="utf-8")
    usual = printed_settings(capsys)
    printed = printed_settings(capsys, *options)
    assert printed == usual | {"variation": asdict(NO_VARIATION) | changed}
    assert usual["variation"] != printed["variation"]


def test_printed_settings_are_those_of_a_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They can be given back as a file, whether or not the run has a folder of its own."""
    options = ["--run-dir=runs/1h", "--training.max_minutes=60", "--data-dir=elsewhere"]
    printed = printed_settings(capsys, *options)
    path = tmp_path / "printed.yaml"
    path.write_text(yaml.safe_dump(printed), encoding="utf-8")
    assert asdict(load_config(path)) == printed
    assert printed["data_dir"] == "elsewhere"
    assert printed_settings(capsys, f"--config={path}") == printed


def test_a_run_to_start_from_decides_the_shape(
    capsys: pytest.CaptureFixture[str], run_copy: Path, tmp_path: Path
) -> None:
    """Where neither an option nor a file sets it; the time budget has no say."""
    run = Run(run_copy)
    trained = run.load_config()
    edited = replace(trained, model=replace(trained.model, dropout=0.7, cross_attention="topk"))
    save_config(edited, run.config)
    options = [f"--training.init_from={run_copy}", "--training.max_minutes=60"]
    printed = printed_settings(capsys, *options)
    assert printed["model"] == asdict(edited.model) | {"dropout": 0.0}
    assert printed["tokenizer"]["vocab_size"] == trained.tokenizer.vocab_size
    assert printed["training"]["init_from"] == str(run_copy)
    file = tmp_path / "own.yaml"
    file.write_text("tokenizer:\n  vocab_size: 500\n", encoding="utf-8")
    printed = printed_settings(capsys, *options, f"--config={file}", "--model.d_ff=99")
    assert printed["model"] == asdict(edited.model) | {"dropout": 0.0, "d_ff": 99}
    assert printed["tokenizer"]["vocab_size"] == 500
    shutil.rmtree(run_copy)  # the printed settings are complete without it
    file.write_text(yaml.safe_dump(printed), encoding="utf-8")
    assert printed_settings(capsys, f"--config={file}") == printed
