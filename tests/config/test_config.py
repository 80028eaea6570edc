"""Reading, checking, comparing and saving settings."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from translator.cli.options import command_parser, parse
from translator.cli.prepare import prepare_command
from translator.config import (
    NO_VARIATION,
    Config,
    CorpusConfig,
    ModelConfig,
    SourceConfig,
    TokenizerConfig,
    TrainingConfig,
    VariationConfig,
    default_settings,
    differing_keys,
    flatten,
    save_config,
    settings_for_budget,
    shape_keys,
)
from translator.config.parsing import add_config_options, load_config, make_config
from translator.errors import TranslatorError
from translator.model.layers import Dropout

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ["quickstart", "laptop-1h", "gpu", "hub", "own-pairs"]


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- files in configs/ ----------------------------------------------------------------------------


def test_every_configuration_file_is_tested() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(NAMES)


def test_defaults_are_the_quickstart() -> None:
    assert load_config(CONFIGS / "quickstart.yaml") == Config()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_configuration_file_loads(path: Path) -> None:
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize("name", NAMES[1:])
def test_other_configurations_differ_from_the_quickstart(name: str) -> None:
    assert differing_keys(load_config(CONFIGS / f"{name}.yaml"), Config())


@pytest.mark.parametrize(("name", "minutes"), [("quickstart", 10), ("laptop-1h", 60)])
def test_a_configuration_has_the_model_of_its_time_budget(name: str, minutes: float) -> None:
    from_file = flatten(load_config(CONFIGS / f"{name}.yaml"))
    expected = flatten(Config()) | settings_for_budget(minutes)
    differing = {key for key in from_file if from_file[key] != expected[key]}
    assert differing <= {"training.max_minutes", "training.evaluations"}


@pytest.mark.parametrize("minutes", [0.01, 2, 10, 19.9, 20, 30, 40, 60, 600])
def test_a_larger_budget_never_gives_a_narrower_model(minutes: float) -> None:
    assert settings_for_budget(minutes).keys() <= flatten(Config()).keys()
    widths = [settings_for_budget(m).get("model.d_model", 128) for m in (minutes / 2, minutes)]
    assert widths == sorted(widths)


HOUR = {"training.max_minutes": 60.0}
WIDE = settings_for_budget(60)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, {}),
        (HOUR, WIDE),
        (HOUR | {"model.dropout": 0.4, "training.max_steps": None}, WIDE),
        (HOUR | {"training.max_steps": 100}, {}),
        (HOUR | {"model.d_ff": 100}, {}),
        (HOUR | {"model.n_heads": 2}, {}),
        (HOUR | {"model.d_model": 256}, {}),
        ({"model.d_model": 100}, {"model.n_heads": 2}),
        ({"model.d_model": 30}, {"model.n_heads": 3}),
        ({"model.d_model": 101}, {}),
    ],
)
def test_the_model_of_the_budget_is_used_as_a_whole_or_not_at_all(
    chosen: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert flatten(Config()) | default_settings(chosen) == flatten(Config()) | expected


# --- reading --------------------------------------------------------------------------------------


def test_settings_that_are_left_out_keep_their_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "training:\n  max_minutes: 3\nseed: 9\n"))
    assert config == Config(training=TrainingConfig(max_minutes=3.0), seed=9)


@pytest.mark.parametrize("text", ["", "# seed: 3\n", "{}\n"])
def test_an_empty_file_gives_the_defaults(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text)) == Config()


def test_numbers_can_have_an_exponent(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "training:\n  lr: 1e-4\n"))
    assert config.training.lr == 0.0001


@pytest.mark.parametrize(
    ("text", "files"), [("a.tsv", "a.tsv"), ("[a.en, a.es]", ["a.en", "a.es"])]
)
def test_corpus_files_can_be_one_or_two(tmp_path: Path, text: str, files: str | list[str]) -> None:
    assert load_config(write(tmp_path, f"corpus:\n  files: {text}\n")).corpus.files == files


@pytest.mark.parametrize("text", ["variation: off\n", "seed: 3\nvariation: false\n"])
def test_variation_can_be_off(tmp_path: Path, text: str) -> None:
    config = load_config(write(tmp_path, text))
    assert config == Config(variation=NO_VARIATION, seed=config.seed)
    assert set(asdict(config.variation).values()) == {0}
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
    assert load_config(write(tmp_path, "variation:\n  names: 0\n")).variation != NO_VARIATION


@pytest.mark.parametrize("value", ["on", "offf", "0", "[]"])
def test_variation_can_be_nothing_but_off(tmp_path: Path, value: str) -> None:
    with pytest.raises(TranslatorError, match="variation"):
        load_config(write(tmp_path, f"variation: {value}\n"))


SOURCES = """corpus:
  sources:
    - name: tatoeba
    - {name: own, files: [año.en, año.es], weight: 5}
    - name: more.2-b
      hub_name: someone/pairs
      hub_columns: [en, es]
      weight: 0.25
"""


def test_sources_are_the_same_in_a_file_as_options(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SOURCES))
    assert [(source.name, source.weight) for source in config.corpus.sources] == [
        ("tatoeba", 1),
        ("own", 5),
        ("more.2-b", 0.25),
    ]
    assert config.corpus.sources[1].files == ["año.en", "año.es"]
    assert config.corpus.sources[2].hub_columns == ["en", "es"]
    text = yaml.safe_dump(yaml.safe_load(SOURCES)["corpus"]["sources"], default_flow_style=True)
    assert options(f"--corpus.sources={text}") == config
    one_by_one = [f"--corpus.sources+={yaml.safe_dump(asdict(s))}" for s in config.corpus.sources]
    assert options(*one_by_one) == config
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


def options(*arguments: str) -> Config:
    parser = command_parser(prepare_command, "")
    add_config_options(parser)
    return make_config(parser, parse(parser, list(arguments)))


OWN = "name: own, files: a.tsv"


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ("[{name: tatoeba}, {name: tatoeba, files: a.tsv}]", 'two sources are called "tatoeba"'),
        ("[{name: tatooba}]", r"\[tatooba\] has neither files nor hub_name: .* neither is tatoeba"),
        (f"[{{{OWN}, hub_name: b/c}}]", r"\[own\]\.files and .*hub_name are both set"),
        (f"[{{{OWN}, weight: 0}}]", r"\[own\]\.weight must be greater than zero"),
        (f"[{{{OWN}, weight: -0.5}}]", r"\[own\]\.weight must be greater than zero"),
        (f"[{{{OWN}, weight: .nan}}]", "weight must be a finite number, not nan"),
        (f"[{{{OWN}, weight: 1001}}]", r"\[own\]\.weight must be at most 1000"),
        (f"[{{{OWN}, weight: heavy}}]", '"weight" must be of type float, not "heavy"'),
        (f"[{{{OWN}, weight: null}}]", '"weight" must not be null'),
        (f"[{{{OWN}, wait: 3}}]", 'unknown key "wait"; the nearest is "weight"'),
        (f"[{{{OWN}, max_chars: 3}}]", 'unknown key "max_chars"'),
        (f"[{{{OWN}, hub_rows: 0}}]", r"\[own\]\.hub_rows must be greater than zero"),
        (f"[{{{OWN}, hub_columns: [a]}}]", r"\[own\]\.hub_columns must name exactly two"),
        ('[{name: own, files: "a\\0.tsv"}]', "corpus.sources.files holds a character"),
        ("[{files: a.tsv}]", 'each source needs a name of letters.*, not ""'),
        ("[{name: null, files: a.tsv}]", 'each source needs a name of letters.*, not ""'),
        ("[{name: a b, files: a.tsv}]", 'each source needs a name of letters.*, not "a b"'),
        ("[tatoeba]", "a list of sources, each written as {name: …, files: …}"),
        ("[null]", "a list of sources, each written as {name: …, files: …}"),
        ("tatoeba", '"corpus.sources" must be of type list, not "tatoeba"'),
        ("{name: tatoeba}", '"corpus.sources" must be of type list'),
    ],
)
def test_invalid_sources_are_refused_in_one_line(tmp_path: Path, sources: str, said: str) -> None:
    with pytest.raises(TranslatorError, match=said) as caught:
        load_config(write(tmp_path, f"corpus:\n  sources: {sources}\n"))
    assert "\n" not in str(caught.value)
    with pytest.raises(TranslatorError, match=said):
        options(f"--corpus.sources={sources}")


@pytest.mark.parametrize("short", ["files", "hub_name"])
def test_sources_and_a_short_form_exclude_each_other(short: str) -> None:
    with pytest.raises(TranslatorError, match=rf"corpus\.sources and corpus\.{short} are both set"):
        options("--corpus.sources=[{name: tatoeba}]", f"--corpus.{short}=a")


def test_a_missing_configuration_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TranslatorError, match=r"absent\.yaml: no such configuration file"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("model:\n  d_modle: 64\n", ['unknown key "model.d_modle"', '"model.d_model"']),
        ("training:\n  batch_token: 64\n", ['"training.batch_token"', '"training.batch_tokens"']),
        ("sede: 3\n", ['unknown key "sede"', 'the nearest is "seed"']),
        ("data-dir: here\n", ['unknown key "data-dir"', 'the nearest is "data_dir"']),
        ("modle:\n  d_model: 64\n", ['unknown key "modle.d_model"', '"model.d_model"']),
        ("model: 64\n", ["model", "64"]),
        ("model:\n  d_model: wide\n", ["model.d_model", "int", "wide"]),
        ("model:\n  d_model: 64.5\n", ["model.d_model", "int", "64.5"]),
        ("training:\n  optimizer: sgd\n", ["training.optimizer", "muon", "adamw", "sgd"]),
        ("training:\n  max_steps: many\n", ["training.max_steps", "int", "many"]),
        ("corpus:\n  languages: en\n", ["corpus.languages", "en"]),
        ("seed: [1, 2]\n", ["seed", "int"]),
        ("corpus:\n  direction: en-fr\n", ["corpus.direction", '"en-es" or "es-en"']),
        ("model:\n  dropout: 1.0\n", ["model.dropout", "less than 1"]),
        ("model: [d_model: 3\n", []),
        ("just text\n", []),
        ("\x00\x01", []),
    ],
)
def test_an_invalid_file_is_reported_in_one_line(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TranslatorError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_null_is_allowed_only_for_settings_that_default_to_null(tmp_path: Path) -> None:
    for key, default in flatten(Config()).items():
        section, _, name = key.rpartition(".")
        path = write(tmp_path, f"{section}:\n  {name}: null\n" if section else f"{name}: null\n")
        if default is None:
            assert load_config(path) == Config()
        else:
            with pytest.raises(TranslatorError, match=rf'settings\.yaml: "{key}" must not be null'):
                load_config(path)


@pytest.mark.parametrize("name", ["a\0.tsv", "\ud800.tsv"])
@pytest.mark.parametrize("files", [str, lambda name: ["a.tsv", name]], ids=["one", "two"])
def test_impossible_file_names_are_refused(
    name: str, files: Callable[[str], str | list[str]]
) -> None:
    with pytest.raises(TranslatorError, match=r"corpus\.files holds a character that no file name"):
        Config(corpus=CorpusConfig(files=files(name)))


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"data_dir: ma\xf1ana\n")
    with pytest.raises(TranslatorError, match=r"settings\.yaml: "):
        load_config(path)


@pytest.mark.parametrize(
    "value",
    ["!!python/object/apply:pathlib.Path.touch [{}]", "!!python/object/apply:os.mkdir ['{}']"],
)
def test_a_configuration_file_cannot_run_python(tmp_path: Path, value: str) -> None:
    planted = tmp_path / "planted"
    with pytest.raises(TranslatorError, match=r"settings\.yaml: "):
        load_config(write(tmp_path, f"data_dir: {value.format(planted)}\n"))
    assert not planted.exists()


@pytest.mark.parametrize(
    "text",
    [
        "class_path: planted.Class\n",
        "corpus:\n  class_path: planted.Class\n",
        "corpus:\n  files:\n    class_path: planted.Class\n",
        "variation: {class_path: planted.Class, init_args: {names: 0}}\n",
    ],
)
def test_a_configuration_file_cannot_import_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "planted.py").write_text("from pathlib import Path\nPath('run').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TranslatorError, match='"class_path" is not a setting'):
        load_config(write(tmp_path, text))
    parser = command_parser(prepare_command, "")
    add_config_options(parser)
    for option in ("--corpus", "--corpus.files", "--variation"):
        with suppress(TranslatorError):  # a file could have that name
            parse(parser, [f"{option}={{class_path: planted.Class}}"])
    assert not (tmp_path / "run").exists()
    assert "planted" not in sys.modules


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tokenizer.sampling", "tokenizer.bpe_dropout"),
        ("training.learning_rate", "training.lr"),
        ("training.muon_learning_rate", "training.muon_lr"),
        ("training.accumulation", "training.gradient_accumulation"),
        ("training.guidance", "training.guided_alignment"),
        ("training.guidance_weight", "training.guided_alignment_weight"),
        ("training.warm_start", "training.embedding_init"),
    ],
)
def test_a_renamed_key_is_reported_with_its_new_name(tmp_path: Path, old: str, new: str) -> None:
    assert new in flatten(Config())
    section, name = old.split(".")
    with pytest.raises(TranslatorError) as caught:
        load_config(write(tmp_path, f"{section}:\n  {name}: 1\n"))
    assert str(caught.value).endswith(f'unknown key "{old}": it is called "{new}" now')


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["en-fr", "en-en", "enes", "en_es", "es", ""])
def test_an_invalid_direction_is_refused(direction: str) -> None:
    with pytest.raises(TranslatorError, match='"en-es" or "es-en"'):
        CorpusConfig(direction=direction)


def test_direction_names_source_and_target() -> None:
    config = CorpusConfig(direction="es-en")
    assert (config.src_lang, config.tgt_lang) == ("es", "en")


def test_other_languages_can_be_chosen() -> None:
    config = CorpusConfig(languages=["de", "fr"], direction="fr-de")
    assert (config.src_lang, config.tgt_lang) == ("fr", "de")


def test_a_language_can_contain_a_hyphen() -> None:
    config = CorpusConfig(languages=["en", "pt-br"], direction="pt-br-en")
    assert (config.src_lang, config.tgt_lang) == ("pt-br", "en")


def test_files_and_hub_exclude_each_other() -> None:
    with pytest.raises(TranslatorError, match=r"corpus\.files and corpus\.hub_name are both set"):
        CorpusConfig(files="a.tsv", hub_name="someone/pairs")


@pytest.mark.parametrize("names", [[], ["en"], ["en", "es", "fr"]])
@pytest.mark.parametrize("key", ["languages", "hub_columns"])
def test_exactly_two_languages_and_columns_are_required(key: str, names: list[str]) -> None:
    with pytest.raises(TranslatorError, match=rf"corpus\.{key} must name exactly two"):
        CorpusConfig(**{key: names})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5])
@pytest.mark.parametrize(
    ("section", "key"),
    [
        (TokenizerConfig, "bpe_dropout"),
        (VariationConfig, "marks"),
        (VariationConfig, "names"),
        (VariationConfig, "phrases"),
        (ModelConfig, "dropout"),
        (TrainingConfig, "label_smoothing"),
        (TrainingConfig, "ema_decay"),
    ],
)
def test_a_fraction_out_of_range_is_refused(section: type, key: str, value: float) -> None:
    with pytest.raises(TranslatorError, match=rf"\.{key} must be at least 0 and less than 1"):
        section(**{key: value})


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
    ("section", "key"),
    [
        (CorpusConfig, "max_chars"),
        (CorpusConfig, "max_length_ratio"),
        (CorpusConfig, "dev_sentences"),
        (CorpusConfig, "test_sentences"),
        (TokenizerConfig, "vocab_size"),
        (ModelConfig, "d_model"),
        (ModelConfig, "n_heads"),
        (ModelConfig, "encoder_layers"),
        (ModelConfig, "decoder_layers"),
        (ModelConfig, "d_ff"),
        (TrainingConfig, "max_steps"),
        (TrainingConfig, "max_minutes"),
        (TrainingConfig, "batch_tokens"),
        (TrainingConfig, "gradient_accumulation"),
        (TrainingConfig, "muon_lr"),
        (TrainingConfig, "lr"),
        (TrainingConfig, "evaluations"),
    ],
)
def test_values_that_are_not_positive_are_refused(section: type, key: str, value: int) -> None:
    with pytest.raises(TranslatorError, match=rf"\.{key} must be greater than zero"):
        section(**{key: value})


@pytest.mark.parametrize(
    "key",
    [
        "warmup_steps",
        "weight_decay",
        "max_grad_norm",
        "patience",
        "threads",
        "checkpoint_minutes",
    ],
)
def test_negative_values_are_refused(key: str) -> None:
    with pytest.raises(TranslatorError, match=rf"training\.{key} must not be negative"):
        TrainingConfig(**{key: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.997, 0.998, 0.9999])
def test_dropout_is_at_most_what_a_byte_can_express(value: float) -> None:
    with pytest.raises(TranslatorError, match=r"model\.dropout must be at most 0\.996"):
        ModelConfig(dropout=value)
    dropout = Dropout(ModelConfig(dropout=0.996).dropout)
    assert dropout(torch.ones(10_000)).isfinite().all()


@pytest.mark.parametrize(
    ("section", "key", "choices"),
    [
        (ModelConfig, "cross_attention", "softmax, entmax15"),
        (ModelConfig, "self_attention", "softmax, entmax15"),
        (TrainingConfig, "optimizer", "muon, adamw"),
        (TrainingConfig, "device", "auto, cpu, cuda, mps"),
        (TrainingConfig, "precision", "auto, float32, bfloat16"),
    ],
)
@pytest.mark.parametrize("value", ["sgd", None, ["muon"]])
def test_a_value_that_is_not_among_the_choices_is_refused(
    section: type, key: str, choices: str, value: object
) -> None:
    with pytest.raises(TranslatorError, match=rf"\.{key} must be one of {choices}.*, not "):
        section(**{key: value})


def test_languages_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(TranslatorError, match=r"corpus\.languages must differ"):
        CorpusConfig(languages=["en", "EN"], direction="en-EN")


@pytest.mark.parametrize(("d_model", "n_heads"), [(66, 4), (9, 3)])
def test_a_width_that_the_heads_cannot_divide_is_refused(d_model: int, n_heads: int) -> None:
    with pytest.raises(TranslatorError, match=rf"d_model \({d_model}\).*n_heads \({n_heads}\)"):
        ModelConfig(d_model=d_model, n_heads=n_heads)


def test_an_odd_number_of_heads_is_allowed() -> None:
    assert ModelConfig(d_model=18, n_heads=3).d_model == 18


# --- comparing and writing ------------------------------------------------------------------------


def test_equal_configurations_have_no_differing_keys() -> None:
    assert differing_keys(Config(), Config()) == []


def test_differing_keys_are_named() -> None:
    other = Config(
        corpus=CorpusConfig(direction="es-en"), training=TrainingConfig(max_steps=5), seed=2
    )
    assert differing_keys(Config(), other) == ["corpus.direction", "training.max_steps", "seed"]


def test_another_weight_is_another_configuration() -> None:
    one, other = (
        Config(corpus=CorpusConfig(sources=[SourceConfig(name="tatoeba", weight=weight)]))
        for weight in (1, 2)
    )
    assert differing_keys(one, other) == ["corpus.sources"]


def test_settings_that_can_change_when_resuming_do_not_differ() -> None:
    training = TrainingConfig(
        checkpoint_minutes=9, threads=3, precision="float32", tensorboard=True, device="cpu"
    )
    other = Config(training=training, data_dir="elsewhere")
    assert differing_keys(Config(), other) == []
    assert differing_keys(Config(), replace(other, seed=7)) == ["seed"]


def test_shape_keys_are_the_settings_that_change_a_tensor_or_its_use() -> None:
    changed = ModelConfig(32, 2, 1, 2, 64, 0.3, "entmax", "sparsemax", top_k=9)
    other = Config(tokenizer=TokenizerConfig(300, 0.1), model=changed)
    model = {f"model.{key}": value for key, value in asdict(changed).items()}
    del model["model.dropout"], model["model.top_k"]
    assert shape_keys(other) == model | {"tokenizer.vocab_size": 300}
    assert not shape_keys(other).items() & shape_keys(Config()).items()


SAVED = [
    Config(),
    Config(
        corpus=CorpusConfig(files=["año.en", "año.es"], direction="es-en", max_length_ratio=2.5),
        tokenizer=TokenizerConfig(bpe_dropout=0.1),
        training=TrainingConfig(max_steps=7, lr=1e-5, optimizer="adamw"),
        seed=0,
        data_dir="mis datos: #1",
    ),
    # "no" is Norwegian here, which YAML would read as false without quotes.
    Config(corpus=CorpusConfig(hub_name="a/b", languages=["no", "en"], direction="no-en")),
]


@pytest.mark.parametrize("config", SAVED, ids=["defaults", "own files", "Norwegian"])
def test_a_saved_configuration_is_loaded_unchanged(tmp_path: Path, config: Config) -> None:
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_a_character_that_yaml_takes_for_a_line_break_is_saved_exactly(tmp_path: Path) -> None:
    config = Config(corpus=CorpusConfig(files="a\x85b\u2028ñ.tsv"))
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("empty", [{"files": ""}, {"files": ["a.en", ""]}, {"hub_name": ""}])
def test_an_empty_name_is_not_the_default(empty: dict[str, Any]) -> None:
    """From Python too, where no option parser refuses it."""
    with pytest.raises(TranslatorError, match=f"corpus.{next(iter(empty))} is empty"):
        Config(corpus=CorpusConfig(**empty))
