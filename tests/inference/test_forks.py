"""A forked process, as `gunicorn --preload` starts it, translates with its parent's translator."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import holds_in_a_fork, random_model

from translator import load
from translator.errors import TranslatorError
from translator.inference import pytorch
from translator.inference.pytorch import PyTorchEngine
from translator.inference.translator import Translator
from translator.model.transformer import Transformer

SENTENCES = ["Good evening.", "Where is the ball?", "The shop is closed."]


def translations(translator: Translator) -> list[str]:
    return [translation.text for translation in translator.translate(SENTENCES)]


@pytest.mark.parametrize("make", [lambda run, loaded: loaded, lambda run, loaded: load(run, "cpu")])
def test_a_forked_process_translates_as_its_parent(
    trained_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path, Translator], Translator],
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # two workers, as on two cores
    parent = load(trained_run, "cpu")
    expected = translations(parent)
    assert holds_in_a_fork(lambda: translations(make(trained_run, parent)) == expected)
    assert translations(parent) == expected


def test_a_run_is_loaded_without_threads_that_a_fork_would_lose(
    trained_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []

    def make_model(*arguments: object) -> Transformer:
        used.append(torch.get_num_threads())
        return Transformer(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pytorch, "Transformer", make_model)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    load(trained_run, "cpu")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert used == [1]


def test_a_model_on_a_gpu_is_refused_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA can't be used in a forked process if its parent has used it."""
    engine = PyTorchEngine(random_model(20))
    engine.device = torch.device("cuda")
    monkeypatch.setattr("os.getpid", lambda: 0)
    with pytest.raises(TranslatorError, match=r"cuda can't be used .* forked .*load the run in"):
        engine.search([[5, 6]], 1, 1.0, 1)
