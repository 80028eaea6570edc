"""A preset is found by its name, in a checkout and in an installed package."""

import tomllib
from pathlib import Path

import pytest
import yaml

from translator.cli import main
from translator.config.presets import presets

ROOT = Path(__file__).parents[2]


def printed(capsys: pytest.CaptureFixture[str], name: str) -> object:
    with pytest.raises(SystemExit):
        main(["train", "--config", name, "--print-config"])
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["quickstart", "laptop-1h", "gpu", "hub", "own-pairs"])
def test_a_preset_is_known_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no folder configs/
    assert printed(capsys, name) == printed(capsys, str(presets()[name]))


def test_a_file_comes_before_a_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpu").write_text("seed: 77\n", encoding="utf-8")
    assert printed(capsys, "gpu")["seed"] == 77  # type: ignore[index]


def test_an_unknown_preset_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--config", "quickstrat"])
    assert capsys.readouterr().err == (
        "translator: --config quickstrat: no such file, and no such preset; "
        "the presets are: gpu, hub, laptop-1h, own-pairs, quickstart\n"
    )


@pytest.mark.skipif(not (ROOT / "translator").is_dir(), reason="not in a checkout")
def test_a_wheel_has_every_package_and_the_presets() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent for path in (ROOT / "translator").rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(settings["tool"]["setuptools"]["packages"]) == {*names, "translator.configs"}
