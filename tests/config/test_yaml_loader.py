"""Settings are read from any YAML file in bounded time, and no setting is dropped."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from translator.cli import main
from translator.config.parsing import load_config
from translator.config.yaml_loader import load_yaml
from translator.errors import TranslatorError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(content=st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_ordinary_yaml_is_read_as_by_pyyaml(content: dict[str, object]) -> None:
    for flow in (True, False):
        text = yaml.safe_dump(content, default_flow_style=flow)
        assert load_yaml(text) == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "seed: 1\ntraining:\n  threads: 1\nseed: 2\n",
            'line 4: "seed" is there already, in line 1',
        ),
        (
            "training:\n  threads: 1\n  threads: 1\n",
            'line 3: "threads" is there already, in line 2',
        ),
        ("training: {threads: 1, threads: 2}", 'line 1: "threads" is there already, in line 1'),
        ("a: &a [1]\nb: *a\n", "aliases .* are not supported"),
        ("a: " + "[" * 30 + "]" * 30, "more than 10 levels deep"),
        ("a: " + "[" * 40_000, "levels deep|brackets inside brackets"),
        ("".join(f"{' ' * i}a:\n" for i in range(300)), "more than 10 levels deep"),
        ("a: " + "x" * 50_000, "longer than 50,000 characters"),
    ],
)
def test_a_harmful_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TranslatorError, match=rf"settings\.yaml: not readable YAML: .*{said}"):
        load_config(path)


@pytest.mark.parametrize("content", ["x" * 2_500_000, "files: " + "x" * 40_000, "[" * 40_000])
def test_a_section_from_a_harmful_file_is_refused_in_one_short_line(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "section.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["prepare", f"--corpus={path}", f"--data-dir={tmp_path}"])
    [line] = capsys.readouterr().err.splitlines()
    assert (ended.value.code, len(line) <= 1000) == (2, True)
