"""A run exported to CTranslate2 gives the same translations as the run."""

import gc
import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ctranslate2
import pytest
import sentencepiece
import torch
from conftest import Cli, assert_one_clear_line, tiny_config
from helpers import everyday_lines, holds_in_a_fork

from translator import load
from translator.config import NO_VARIATION
from translator.data.tokenizer import EOS_ID
from translator.errors import TranslatorError
from translator.export.ctranslate2 import export_ctranslate2
from translator.inference.pytorch import load_model, load_pytorch_engine
from translator.inference.translator import Translator
from translator.model.layers import DecoderLayer
from translator.model.transformer import Transformer
from translator.model.weights import Origin, save_weights
from translator.pipeline import train
from translator.runs.run import Run
from translator.system.checksums import sha256_of
from translator.system.locks import locked

SENTENCES = [english for english, *_ in everyday_lines()[1:30]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run that has learned enough to end its sentences, and not to be undecided."""
    folder = tmp_path_factory.mktemp("exported")
    run = Run(folder / "runs" / "tiny")
    config = tiny_config(folder / "data", max_steps=400)
    train(replace(config, variation=NO_VARIATION), run)
    export_ctranslate2(run)
    return run.path


@pytest.fixture
def own_copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported run that a test may change."""
    return shutil.copytree(exported, tmp_path / "run")


def model_texts(translator: Translator) -> list[str]:
    """Return `SENTENCES` as the model reads them."""
    return [part for text in SENTENCES for part in translator.pipeline.apply(text).parts]


def both(run: Path) -> tuple[Translator, Translator]:
    return load(run, "cpu"), load(run, "cpu", "ctranslate2")


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("beam_size", "n_best"), [(1, 1), (2, 1), (5, 5)])
def test_both_engines_give_the_same_translations(
    exported: Path, beam_size: int, n_best: int, length_penalty: float
) -> None:
    ours, theirs = both(exported)
    ids = ours.tokenizer.encode(model_texts(ours))
    expected = ours.engine.search(ids, beam_size, length_penalty, n_best)
    found = theirs.engine.search(ids, beam_size, length_penalty, n_best)
    assert len({tuple(best.ids) for best, *_ in expected if best.complete}) > 20
    for mine, other in zip(expected, found, strict=True):
        assert [(h.ids, h.length, h.complete) for h in other] == [
            (h.ids, h.length, h.complete) for h in mine
        ]
        assert [h.log_prob for h in other] == pytest.approx([h.log_prob for h in mine], abs=1e-3)
    unscored = theirs.engine.search(ids, beam_size, length_penalty, n_best, with_scores=False)
    assert [[h.ids for h in hypotheses] for hypotheses in unscored] == [
        [h.ids for h in hypotheses] for hypotheses in found
    ]


def test_both_engines_stop_at_the_limit_of_each_source(own_copy: Path) -> None:
    """This model never ends a sentence, since its eos embedding is far from every state."""
    model = load_pytorch_engine(Run(own_copy), "cpu").model
    with torch.no_grad():
        model.decoder.norm.bias.fill_(1)
        model.embedding.weight[EOS_ID] = -10
    run = Run(own_copy)
    save_weights(model, run.weights, Origin("none", 0))
    export_ctranslate2(run)
    ours, theirs = both(own_copy)
    ids = ours.tokenizer.encode(model_texts(ours))
    for beam_size in (1, 3):
        expected = ours.engine.search(ids, beam_size, 1.0, 1)
        assert not any(best.complete for (best,) in expected)
        found = theirs.engine.search(ids, beam_size, 1.0, 1)
        assert [(h.length, h.complete) for (h,) in found] == [
            (h.length, h.complete) for (h,) in expected
        ]


def test_int8_is_smaller_with_nearly_the_same_scores(exported: Path) -> None:
    sizes = [
        (Run(exported).ctranslate2 / kind / "model.bin").stat().st_size
        for kind in ("int8", "float32")
    ]
    assert sizes[0] < 0.7 * sizes[1]
    ours, int8 = load(exported, "cpu"), load(exported, "cpu", "ctranslate2-int8")
    both_found = list(zip(ours.translate(SENTENCES), int8.translate(SENTENCES), strict=True))
    differences = [abs(exact.score - rough.score) for exact, rough in both_found]
    assert 0 < sum(differences) / len(differences) < 0.05
    alike = [exact.text == rough.text for exact, rough in both_found]
    assert sum(alike) > len(alike) / 2
    # If another translation wins, its score may differ more.
    for same, difference in zip(alike, differences, strict=True):
        assert not same or difference <= 0.1


def test_another_program_needs_only_the_exported_folder(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(Run(exported).ctranslate2 / "float32", tmp_path / "alone")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    ours = load(exported, "cpu")
    texts = model_texts(ours)
    results = ctranslate2.Translator(str(folder)).translate_batch(
        pieces.encode(texts, out_type=str), beam_size=5, max_decoding_length=200
    )
    found = ours.engine.search(ours.tokenizer.encode(texts), 5, 1.0, 1)
    expected = ours.tokenizer.decode([best.ids for [best] in found])
    assert [pieces.decode(result.hypotheses[0]) for result in results] == expected


def test_a_translation_needs_no_pytorch(exported: Path) -> None:
    command = (
        "import sys; sys.modules['torch'] = None; from translator.cli import main; "
        "main(['translate', '--engine', 'ctranslate2', '--run-dir', sys.argv[1], sys.argv[2]])"
    )
    result = subprocess.run(
        [sys.executable, "-c", command, str(exported), SENTENCES[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == load(exported, "cpu").translate(SENTENCES[:1])[0].text


def test_commands_export_translate_and_evaluate(own_copy: Path, cli: Cli) -> None:
    shutil.rmtree(Run(own_copy).ctranslate2)
    options = ["--run-dir", str(own_copy), "--engine", "ctranslate2"]
    assert_one_clear_line(cli("translate", *options, "Yes."), "translator export --run-dir")
    result = cli("export", "--format", "ctranslate2", "--run-dir", str(own_copy))
    assert [Path(line).name for line in result.stdout.splitlines()] == ["float32", "int8"]
    said = cli("translate", *options, *SENTENCES)
    assert said.stdout == cli("translate", "--run-dir", str(own_copy), *SENTENCES).stdout
    # Greedy: with a beam, the engines differ in what they keep when such a model finds no end.
    greedy = ["--beam-size", "1", "--json"]
    scores = cli("evaluate", *options, *greedy)
    assert scores.stdout == cli("evaluate", "--run-dir", str(own_copy), *greedy).stdout


def test_an_export_of_other_weights_is_refused(own_copy: Path) -> None:
    with Run(own_copy).weights.open("ab") as file:
        file.write(b" ")
    with pytest.raises(TranslatorError, match=r"other weights.*translator export"):
        load(own_copy, "cpu", "ctranslate2")


def test_weights_that_change_during_the_export_are_noticed(
    own_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training replaces them after they were loaded."""
    run = Run(own_copy)

    def load_and_replace(run: Run) -> Transformer:
        model = load_model(run)
        run.weights.write_bytes(run.weights.read_bytes() + b" ")
        return model

    monkeypatch.setattr("translator.export.ctranslate2.load_model", load_and_replace)
    with pytest.raises(TranslatorError, match="replaced the weights during the export"):
        export_ctranslate2(run)
    with pytest.raises(TranslatorError, match=r"other weights.*translator export"):
        load(own_copy, "cpu", "ctranslate2")


def test_an_export_that_was_killed_while_it_replaced_another_loses_neither(own_copy: Path) -> None:
    run = Run(own_copy)
    run.ctranslate2.rename(own_copy / ".ctranslate2.123.old.tmp")
    assert load(own_copy, "cpu", "ctranslate2").translate(SENTENCES[:1])[0].text
    assert run.ctranslate2.exists()
    assert not list(own_copy.glob(".*"))


def test_two_exports_of_a_run_take_turns(own_copy: Path) -> None:
    run, other = Run(own_copy), own_copy / ".ctranslate2.123.tmp"
    thread = threading.Thread(target=export_ctranslate2, args=[run])
    with locked(run.ctranslate2):
        other.mkdir()
        thread.start()
        thread.join(0.3)
        assert other.exists()
    thread.join()
    assert not other.exists()
    assert load(own_copy, "cpu", "ctranslate2").translate(SENTENCES[:1])[0].text


@pytest.mark.parametrize("signed", [False, True])
def test_a_damaged_export_is_named(own_copy: Path, signed: bool) -> None:
    """CTranslate2 loads some models with a changed byte, and crashes on others."""
    model = Run(own_copy).ctranslate2 / "float32" / "model.bin"
    before = sha256_of(model)
    model.write_bytes(model.read_bytes()[:100])
    if signed:
        sums = Run(own_copy).ctranslate2 / "SHA256SUMS"
        sums.write_text(sums.read_text().replace(before, sha256_of(model)))
    said = "float32: CTranslate2 can't load it" if signed else r"model\.bin: missing or damaged"
    with pytest.raises(TranslatorError, match=said):
        load(own_copy, "cpu", "ctranslate2")
    assert load(own_copy, "cpu", "ctranslate2-int8").translate(SENTENCES[:1])[0].text


def test_an_unsupported_model_is_refused_and_the_old_export_kept(
    own_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def argmax(scores: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(scores).scatter(-1, scores.argmax(dim=-1, keepdim=True), 1)

    engine = load_pytorch_engine(Run(own_copy), "cpu")
    layer = engine.model.decoder.layers[1]
    assert isinstance(layer, DecoderLayer)
    layer.cross_attention.normalizer = argmax
    monkeypatch.setattr("translator.export.ctranslate2.load_model", lambda run: engine.model)
    with pytest.raises(TranslatorError, match=r"layers\.1\.cross_attention \(argmax\).*pytorch"):
        export_ctranslate2(Run(own_copy))
    assert load(own_copy, "cpu", "ctranslate2").translate(SENTENCES[:1])[0].text


@pytest.mark.parametrize(
    ("key", "name"), [("cross_attention", "sparsemax"), ("self_attention", "entmax")]
)
def test_a_run_with_sparse_attention_is_trained_and_drawn_but_not_exported(
    tmp_path: Path, key: str, name: str
) -> None:
    tiny = tiny_config(tmp_path / "data", max_steps=10, evaluations=1)
    run = Run(tmp_path / "run")
    train(replace(tiny, model=replace(tiny.model, **{key: name})), run)
    translator = load(run.path, "cpu")
    _, _, weights = translator.cross_attention("Good evening.", "Buenas tardes.")
    assert (weights == 0).any() == (key == "cross_attention")
    assert len(translator.translate(SENTENCES[:3])) == 3
    with pytest.raises(TranslatorError, match=f"(?i){key}.*{name}.*softmax only"):
        export_ctranslate2(run)


def test_a_failed_export_keeps_the_old_one(own_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ctranslate2.specs.TransformerSpec.save", full)
    with pytest.raises(TranslatorError, match="ctranslate2: No space left"):
        export_ctranslate2(Run(own_copy))
    assert load(own_copy, "cpu", "ctranslate2").translate(SENTENCES[:1])[0].text
    assert not list(own_copy.glob(".*"))


def without_ctranslate2(name: str) -> None:
    assert name == "ctranslate2"


@pytest.mark.parametrize(
    "use",
    [lambda run: export_ctranslate2(Run(run)), lambda run: load(run, "cpu", "ctranslate2")],
    ids=["export", "load"],
)
def test_without_the_package_the_error_says_how_to_install_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without_ctranslate2)
    with pytest.raises(TranslatorError, match="pip install"):
        use(exported)


@pytest.mark.parametrize(
    ("device", "engine", "said"),
    [("mps", "ctranslate2", "doesn't support mps"), ("cpu", "onnx", 'unknown engine "onnx"')],
)
def test_an_unavailable_device_or_engine_is_reported(
    exported: Path, device: str, engine: str, said: str
) -> None:
    with pytest.raises(TranslatorError, match=said):
        load(exported, device, engine)


def test_after_a_fork_ctranslate2_is_refused_instead_of_hanging(exported: Path) -> None:
    loaded = [load(exported, "cpu", "ctranslate2")]
    assert loaded[0].translate(SENTENCES[:1])[0].text

    def is_refused_and_deleted() -> bool:
        with pytest.raises(TranslatorError, match=r"ctranslate2 can't be used .* forked"):
            loaded[0].translate(SENTENCES[:1])
        loaded.clear()  # as at the end of a program
        gc.collect()
        return bool(load(exported, "cpu", "ctranslate2").translate(SENTENCES[:1])[0].text)

    assert holds_in_a_fork(is_refused_and_deleted)
    assert loaded[0].translate(SENTENCES[:1])[0].text


def test_attention_of_ctranslate2_is_refused(exported: Path) -> None:
    with pytest.raises(TranslatorError, match="engine pytorch"):
        load(exported, "cpu", "ctranslate2").cross_attention("Yes.", "Sí.")


MEMORY = """
import resource, sys
from translator.cli import main
main(["translate", "--engine", "ctranslate2", "--beam-size", "1", "--run-dir", sys.argv[1]])
print("\\n", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def test_forty_thousand_lines_take_no_more_memory_than_two_thousand(exported: Path) -> None:
    peaks = []
    for count in (2_000, 40_000):
        result = subprocess.run(
            [sys.executable, "-c", MEMORY, str(exported)],
            input="".join(f"{SENTENCES[i % 20]}\n" for i in range(count)),
            capture_output=True,
            text=True,
            check=True,
        )
        lines = result.stdout.splitlines()
        assert len(lines) == count
        assert lines == [lines[i % 20] for i in range(count)]
        peaks.append(int(result.stderr.split()[-1]))
    assert peaks[1] < 1.1 * peaks[0]
