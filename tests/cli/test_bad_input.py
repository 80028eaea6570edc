"""Every user mistake ends in exit code 2 and one line that names the mistake and the fix."""

import gzip
import json
from pathlib import Path

import pytest
from conftest import TINY_OPTIONS, Cli, assert_one_clear_line, contents
from mistakes import (
    ENOUGH_PAIRS,
    Mistake,
    Place,
    aligned_files,
    both_states,
    command,
    cut_in_half,
    edit_manifest,
    edited,
    evaluate_files,
    exported,
    exported_before,
    flip_a_bit,
    go_on,
    guided_by,
    hub_data_set,
    many_letters,
    on_run,
    pairs_file,
    plant_code,
    replace_by,
    scored_on,
    translate_latin1,
    translate_without_cuda,
    unchanged,
    unreadable,
    with_file,
    without,
    without_package,
    yaml_file,
)
from safetensors.torch import save_file

from translator.cli import main
from translator.inference.pytorch import load_model
from translator.model.weights import Origin, save_weights
from translator.runs.manifest import FORMAT
from translator.runs.run import Run

UNREADABLE = {
    "run": unreadable("translate", "--run-dir=closed/run", "Hello."),
    "run to train": unreadable("train", *TINY_OPTIONS, "--run-dir=closed/run"),
    "configuration": unreadable("prepare", "--config", "closed/c.yaml"),
    "corpus": unreadable("prepare", "--corpus.files=closed/p.tsv"),
    "data set of the hub": unreadable("prepare", "--corpus.hub_name=closed/pairs"),
    "folder of data": unreadable("prepare", *TINY_OPTIONS, "--data-dir=closed"),
    "source": unreadable("evaluate", "--run-dir=RUN", "--src=closed/a", "--ref=closed/b"),
    "file of pairs": unreadable("align", "--run-dir=RUN", "--pairs=closed/p.tsv"),
}

MISTAKES = [
    *(
        Mistake(f"a {name} that may not be read", make, ("closed", ": Permission denied"))
        for name, make in UNREADABLE.items()
    ),
    # the command line
    Mistake("unknown command", command("trian"), ('"trian"', 'did you mean "train"?', "translate")),
    Mistake("no command's name", command("xyzzy"), ('unknown command "xyzzy" (commands: ', "runs")),
    Mistake(
        "unknown option",
        command("train", "--training.max_step=5"),
        ('"training.max_step"', '"training.max_steps"'),
    ),
    Mistake(
        "an option that is written with hyphens now",
        command("prepare", "--data_dir=here"),
        ('unknown option "--data_dir": write "--data-dir"',),
    ),
    Mistake(
        "an option with an underscore",
        command("translate", "--run_dir", "here", "Hello."),
        ('unknown option "--run_dir": write "--run-dir"',),
    ),
    Mistake(
        "an old key",
        command("train", "--training.learning_rate=0.1"),
        ('unknown key "training.learning_rate": it is called "training.lr" now',),
    ),
    Mistake(
        "an old key in a section given as a whole",
        command("train", '--training={"warm_start": true}'),
        ('"training.warm_start": it is called "training.embedding_init" now',),
    ),
    Mistake(
        "an old key in a file",
        yaml_file("tokenizer:\n  sampling: 0.1\n"),
        ("c.yaml", '"tokenizer.sampling": it is called "tokenizer.bpe_dropout" now'),
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
    Mistake(
        "an option that is not UTF-8",
        command("train", "--data-dir=ma\udcf1ana"),
        ("not UTF-8", "--data-dir=ma\\udcf1ana"),
    ),
    Mistake(
        "a name that is too long",
        command("prepare", f"--corpus.files={'a' * 5000}"),
        ("aaa…", "too long"),
    ),
    Mistake(
        "files of an unset shell variable",
        command("prepare", "--corpus.files", ""),
        ("--corpus.files is empty, like a shell variable that is not set",),
    ),
    Mistake(
        "one of two files from an unset shell variable",
        command("prepare", "--corpus.files=[a.en,'']"),
        ("--corpus.files is empty",),
    ),
    Mistake("no name of a file", yaml_file("corpus: {files: ''}"), ("--corpus.files is empty",)),
    Mistake(
        "a folder of an unset shell variable",
        command("prepare", "--data-dir="),
        ("--data-dir is empty",),
    ),
    Mistake("no run to train", command("train", "--run-dir", ""), ("--run-dir is empty",)),
    Mistake("no run", command("translate", "--run-dir", "", "Hello."), ("--run-dir is empty",)),
    Mistake("no folder of runs", command("runs", "--folder="), ("--folder is empty",)),
    Mistake(
        "no run to start from",
        command("train", "--training.init_from="),
        ("--training.init_from is empty",),
    ),
    Mistake(
        "no references",
        command("evaluate", "--src=a.en", "--ref", "a.es", ""),
        ("--ref is empty",),
    ),
    Mistake("no picture", command("align", "Hi.", "--picture="), ("--picture is empty",)),
    # impossible settings
    Mistake(
        "no steps at all",
        command("train", "--training.max_steps=0"),
        ("training.max_steps", "greater than zero"),
    ),
    Mistake(
        "half a step",
        command("train", "--training.max_steps=2.5"),
        ("training.max_steps", "int", "2.5"),
    ),
    Mistake(
        "steps without end",
        command("train", f"--training.max_steps=1{'0' * 400}"),
        ("training.max_steps", "less than 2147483648"),
    ),
    Mistake(
        "minutes without end",
        command("train", "--training.max_minutes=1e400"),
        ("training.max_minutes", "must be a finite number"),
    ),
    Mistake(
        "null in a section given as a whole",
        command("train", '--training={"max_minutes": null}'),
        ('"training.max_minutes" must not be null', "10.0"),
    ),
    Mistake(
        "a rate below zero",
        command("train", "--training.lr=-1"),
        ("training.lr", "greater than zero"),
    ),
    Mistake(
        "a rate beyond float32",
        command("train", "--training.muon_lr=1e300"),
        ("training.muon_lr", "less than"),
    ),
    Mistake(
        "more threads than can be started",
        command("train", "--training.threads=100000"),
        ("training.threads", "at most 1024"),
    ),
    Mistake(
        "a model that no memory holds",
        command("train", "--model.d_model=100000000"),
        ("tokenizer.vocab_size", "parameters", "smaller"),
    ),
    Mistake(
        "layers without end",
        command("train", "--model.encoder_layers=1001"),
        ("model.encoder_layers", "at most 1000"),
    ),
    Mistake(
        "a chance beyond 1",
        command("train", "--tokenizer.bpe_dropout=1.5"),
        ("tokenizer.bpe_dropout", "less than 1"),
    ),
    Mistake(
        "no such attention",
        command("train", "--model.cross_attention=hardmax"),
        ("model.cross_attention", "softmax", "sparsemax", "hardmax"),
    ),
    Mistake(
        "guidance for pieces that change",
        command("train", "--training.guided_alignment=links", "--tokenizer.bpe_dropout=0.1"),
        ("training.guided_alignment", "tokenizer.bpe_dropout", "one of the two"),
    ),
    Mistake(
        "TensorBoard is not installed",
        without_package("tensorboard", command("train", "--training.tensorboard=true")),
        ("pip install 'tensorboard", "training.tensorboard"),
    ),
    Mistake(
        "heads that don't divide the width",
        command("train", "--model.d_model=100", "--model.n_heads=3"),
        ("model.d_model", "100", "model.n_heads", "3"),
    ),
    Mistake(
        "settings to be printed that don't fit together",
        command("train", "--print-config", "--model.d_model=100", "--model.n_heads=3"),
        ("model.d_model (100) must be a multiple of twice model.n_heads (3)",),
    ),
    Mistake(
        "a width that no number of heads divides",
        command("train", "--training.max_minutes=30", "--model.d_model=101"),
        ("model.d_model (101)", "model.n_heads (4)"),
    ),
    Mistake(
        "no run to start from",
        command("train", "--training.init_from=nowhere"),
        ("nowhere: no run there", "translator train --run-dir nowhere"),
    ),
    Mistake(
        "a share of dropped values that rounds to all",
        command("train", "--model.dropout=0.999"),
        ("model.dropout must be at most 0.996",),
    ),
    Mistake(
        "every pair varied",
        command("train", "--variation.names=1"),
        ("variation.names", "less than 1"),
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
        "one language",
        command("prepare", "--corpus.languages=[en]"),
        ("corpus.languages", "exactly two"),
    ),
    Mistake(
        "the same language twice",
        command("prepare", "--corpus.languages=[en,en]"),
        ("corpus.languages", "differ", "en"),
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
        "a seed that is too large",
        command("train", "--seed=99999999999999999999"),
        ("seed", "less than 18446744073709551616"),
    ),
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
        "a folder for a configuration file",
        command("train", "--config", "."),
        (".: no such configuration file",),
    ),
    Mistake(
        "null in a file",
        yaml_file("training:\n  max_minutes: null\n"),
        ("c.yaml", '"training.max_minutes" must not be null', "10.0"),
    ),
    Mistake(
        "a value for a section in a file",
        yaml_file("model: wide\n"),
        ("c.yaml", '"model" must hold settings', "wide"),
    ),
    Mistake(
        "the same value twice by an alias",
        yaml_file("corpus:\n  languages: &both [en, es]\n  hub_columns: *both\n"),
        ("c.yaml", "aliases", "write it out"),
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
        "a folder for a corpus file", command("prepare", "--corpus.files=."), (".: no such file",)
    ),
    Mistake(
        "a file for the folder of the data",
        pairs_file(ENOUGH_PAIRS, "--data-dir=p.tsv"),
        ("p.tsv/prepared", "Not a directory"),
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
    Mistake(
        "columns of numbers",
        pairs_file(
            "".join(f"{i}\t{line}\n" for i, line in enumerate(ENOUGH_PAIRS.split("\n")[:-1]))
        ),
        ("p.tsv: column 1 holds numbers and should be en", "set --corpus.columns [2,3]"),
    ),
    Mistake(
        "a corpus of which most is dropped",
        pairs_file(
            "".join(f"{i} xyz\t{i} xyz\n" for i in range(50))
            + "".join(ENOUGH_PAIRS.splitlines(keepends=True)[:10])
        ),
        ("p.tsv: 50 of ", '"copied side"', "corpus.columns"),
    ),
    Mistake(
        "one column",
        pairs_file(ENOUGH_PAIRS, "--corpus.columns=[2]"),
        ("corpus.columns must name two different columns",),
    ),
    Mistake(
        "the same column twice",
        pairs_file(ENOUGH_PAIRS, "--corpus.columns=[2,2]"),
        ("corpus.columns must name two different columns",),
    ),
    Mistake(
        "a column before the first",
        pairs_file(ENOUGH_PAIRS, "--corpus.columns=[0,1]"),
        ("corpus.columns must name two different columns, such as [2,4]",),
    ),
    Mistake(
        "a column that no line has",
        pairs_file(ENOUGH_PAIRS, "--corpus.columns=[en,3]"),
        ("p.tsv, line 1: no column en", "corpus.columns", "1 (There are 2 chairs.)"),
    ),
    Mistake(
        "columns of no file",
        command("prepare", "--corpus.columns=[1,2]"),
        ("corpus.columns needs corpus.files",),
    ),
    Mistake(
        "columns of two files",
        lambda place: [*aligned_files("Hi!\n", "¡Hola!\n")(place), "--corpus.columns=[1,2]"],
        ("corpus.columns selects columns of one TSV file",),
    ),
    Mistake(
        "a blank line in a corpus",
        pairs_file("Hi!\t¡Hola!\n\n \nBye!\t¡Adiós!\n"),
        ("p.tsv, line 2: a blank line", "remove"),
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
        "an xz file by its first bytes alone",
        pairs_file(b"\xfd7zXZ\0" + ENOUGH_PAIRS.encode()),
        ("p.tsv", "can't be read"),
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
        "a vocabulary of special pieces alone",
        command("prepare", "--tokenizer.vocab_size=4"),
        ("tokenizer.vocab_size", "more than 4"),
    ),
    Mistake(
        "no rows of a data set",
        command("prepare", "--corpus.hub_name=someone/pairs", "--corpus.hub_rows=0"),
        ("corpus.hub_rows", "greater than zero"),
    ),
    Mistake(
        "no such data set",
        command("prepare", "--corpus.hub_name=./nowhere"),
        ("nowhere", "corpus.hub_name", "--corpus.files"),
    ),
    Mistake(
        "a data set with other columns",
        hub_data_set({"english": "One.", "spanish": "Uno."}),
        ('no column "translation.en"', "english, spanish", "corpus.hub_columns"),
    ),
    Mistake(
        "a data set of something else than text",
        hub_data_set({"translation": {"en": "One.", "es": 1}}),
        ("pairs train, row 1", '"translation.es" is not text'),
    ),
    # runs
    Mistake("no run yet", command("translate", "Hello."), ("runs", "translator train")),
    Mistake(
        "a folder that is no run",
        on_run("translate", "Hello.", damage=without("run.json")),
        ("run", "no run there", "run.json"),
    ),
    Mistake(
        "a file for a run",
        with_file("p.tsv", ENOUGH_PAIRS, command("translate", "--run-dir=p.tsv", "Hello.")),
        ("p.tsv", "no run there"),
    ),
    Mistake(
        "a folder without runs", command("runs", "--folder", "nowhere"), ("no run in nowhere/",)
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
        "a run of an older format, where all else is different",
        on_run(
            "translate",
            "Hello.",
            damage=replace_by("run.json", '{"format": 3, "versions": {"translator": "0.0.9"}}'),
        ),
        ("run", "format 3", f"format {FORMAT}", "train it again", "0.0.9"),
    ),
    Mistake(
        "a run of an older format that says nothing else",
        on_run("translate", "Hello.", damage=replace_by("run.json", '{"format": 2}')),
        ("run", "format 2", f"format {FORMAT}", "unknown"),
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
        "a run manifest that lacks something",
        on_run("translate", "Hello.", damage=edited("run.json", '"max_steps"', '"steps"')),
        ("run.json", "damaged", "missing", "`max_steps`"),
    ),
    Mistake(
        "a run manifest with null for something",
        on_run("evaluate", damage=lambda run: edit_manifest(run, scores=None)),
        ("run.json", "damaged", "`$.scores`"),
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
        "weights that have changed",
        on_run("translate", "Hello.", damage=flip_a_bit("weights.safetensors", 0.7)),
        ("weights.safetensors", "damaged", "SHA-256", "train again"),
    ),
    Mistake(
        "weights of another shape",
        on_run("translate", "Hello.", damage=edited("config.yaml", "d_ff: 64", "d_ff: 32")),
        ("weights.safetensors", "config.yaml"),
    ),
    Mistake(
        "a tokenizer cut off",
        on_run("translate", "Hello.", damage=cut_in_half("tokenizer.model")),
        ("tokenizer.model", "damaged", "train again"),
    ),
    Mistake(
        "words cut off",
        on_run("translate", "Hello.", damage=cut_in_half("lexicon.json")),
        ("lexicon.json", "damaged", "train again"),
    ),
    Mistake(
        "words gone",
        on_run("translate", "Hello.", damage=without("lexicon.json")),
        ("lexicon.json",),
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
        go_on(both_states(cut_in_half)),
        ("training_state.safetensors", "cut off"),
    ),
    Mistake(
        "a training state that has changed",
        go_on(both_states(lambda name: flip_a_bit(name, 0.9))),
        ("training_state.safetensors", "damaged", "SHA-256", "to train from the start"),
    ),
    Mistake(
        "a training state of an earlier version",
        go_on(lambda run: [path.rename(run / "training_state.pt") for path in Run(run).states]),
        ("run/training_state.pt", "earlier version", "delete run to train from the start"),
    ),
    Mistake(
        "a number of steps that was edited",
        go_on(lambda run: edit_manifest(run, max_steps=50)),
        ("training_state.safetensors", "max_steps (60 there, 50 in run/run.json)", "restore"),
    ),
    Mistake(
        "weights of another training",
        go_on(lambda run: save_weights(load_model(Run(run)), Run(run).weights, Origin("x", 60))),
        ("run/weights.safetensors: not the weights that this training saved", "restore the file"),
    ),
    Mistake(
        "weights that are gone",
        go_on(without("weights.safetensors")),
        ("run/weights.safetensors: no weights",),
    ),
    Mistake(
        "another configuration than a run has begun with",
        go_on(unchanged, "--seed=2"),
        ("run was started with another configuration", "seed", "--config run/config.yaml"),
    ),
    Mistake(
        "no such guided_alignment",
        command("train", *TINY_OPTIONS, "--training.guided_alignment=none"),
        ("none: no such file", "training.guided_alignment"),
    ),
    Mistake(
        "guidance for fewer pairs",
        with_file(
            "links", "0-0\n", command("train", *TINY_OPTIONS, "--training.guided_alignment=links")
        ),
        ("links has 1 lines", "training pairs", "align --train"),
    ),
    Mistake(
        "guidance in another form",
        guided_by("0:0\n"),
        ("links, line 1", '"0:0" is not a link', "0-0"),
    ),
    Mistake("guidance beyond a sentence", guided_by("99-0\n"), ("links, line 1", "out of range")),
    Mistake(
        "a training state that is code",
        go_on(plant_code),
        ("training_state.safetensors", "damaged"),
    ),
    Mistake(
        "a training state of something else",
        go_on(both_states(lambda name: lambda run: save_file({}, run / name))),
        ("training_state.safetensors", "damaged (it has no checksum)"),
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
    Mistake(
        "a blank reference",
        evaluate_files("Hi!\nBye!\n", "¡Hola!\n¡Adiós!\n", "Buenas\n \n"),
        ("ref1.txt has 1 lines, but src.txt has 2",),
    ),
    Mistake(
        "a blank reference before others",
        evaluate_files("Hi!\nBye!\n", "¡Hola!\n¡Adiós!\n", "\nBuenas\n"),
        ("ref1.txt, line 1: a blank line can't be scored", "remove"),
    ),
    Mistake(
        "a blank sentence",
        evaluate_files("Hi!\n\nBye!\n", "¡Hola!\nSí.\n¡Adiós!\n"),
        ("src.txt, line 2: a blank line can't be scored",),
    ),
    Mistake("nothing to evaluate", evaluate_files("", ""), ("src.txt", "empty")),
    Mistake(
        "no beam",
        on_run("translate", "--beam-size", "0", "Hello.", damage=unchanged),
        ("beam_size",),
    ),
    Mistake(
        "a beam that no memory holds",
        on_run("translate", "--beam-size", "100000", "Hello.", damage=unchanged),
        ("beam_size", "1000"),
    ),
    Mistake(
        "alternatives of a greedy search",
        on_run("translate", "--beam-size=1", "--n-best=2", "Hello.", damage=unchanged),
        ("n_best between 1 and beam_size", "1, 1.0, 2"),
    ),
    Mistake(
        "a length penalty beyond numbers",
        on_run("evaluate", "--length-penalty=1e300", damage=unchanged),
        ("length_penalty between 0 and 10", "1e+300"),
    ),
    Mistake(
        "a length penalty that is no number",
        command("translate", "--length-penalty=nan", "Hello."),
        ("length_penalty", "float", "nan"),
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
    # export and other engines
    Mistake(
        "no such engine",
        command("translate", "--engine=onnx", "Hello."),
        ("onnx", "pytorch", "ctranslate2"),
    ),
    Mistake("no such format", command("export", "--format=onnx"), ("onnx", "ctranslate2")),
    Mistake(
        "CTranslate2 is not installed",
        without_package("ctranslate2", on_run("export", damage=unchanged)),
        ("CTranslate2 is not installed", "pip install 'ctranslate2"),
    ),
    Mistake(
        "attention that CTranslate2 lacks",
        on_run(
            "export", damage=edited("config.yaml", "attention: softmax", "attention: sparsemax")
        ),
        ("CTranslate2 can't express", "sparsemax", "pytorch"),
    ),
    Mistake(
        "a run that was not exported",
        on_run("translate", "--engine=ctranslate2", "Hello.", damage=unchanged),
        ("no CTranslate2 model yet", "translator export --run-dir run"),
    ),
    Mistake(
        "an export of other weights",
        on_run("translate", "--engine=ctranslate2", "Hello.", damage=exported_before),
        ("exported from other weights", "translator export --run-dir run"),
    ),
    Mistake(
        "a damaged export",
        on_run("evaluate", "--engine=ctranslate2", damage=exported("x")),
        ("run/ctranslate2/float32", "CTranslate2 can't load it"),
    ),
    Mistake(
        "an engine on a device that it can't use",
        on_run("evaluate", "--engine=ctranslate2", "--device=mps", damage=exported("x")),
        ("mps", "cpu"),
    ),
    # align
    Mistake("nothing to align", command("align"), ("a sentence", "--pairs FILE", "--gold FILE")),
    Mistake("three texts to align", command("align", "a", "b", "c"), ("give one of", "a sentence")),
    Mistake(
        "pairs and gold at once",
        command("align", "--pairs", "p.tsv", "--gold", "g.tsv"),
        ("give one of", "--pairs FILE"),
    ),
    Mistake(
        "a picture of another kind",
        command("align", "--picture", "a.gif", "Hello."),
        ("a.gif", ".png or .svg"),
    ),
    Mistake(
        "a picture of many pairs",
        command("align", "--pairs", "p.tsv", "--picture", "a.png"),
        ("--picture needs a sentence",),
    ),
    Mistake(
        "two directions by one run",
        command("align", "--symmetrize", "union", "Hello."),
        ("--symmetrize needs --reverse-run",),
    ),
    Mistake(
        "a base without gold",
        command("align", "--gold-base", "1", "Hello."),
        ("--gold-base needs --gold",),
    ),
    Mistake(
        "a base without gold, which is the default",
        command("align", "--gold-base", "0", "Hello."),
        ("--gold-base needs --gold",),
    ),
    Mistake(
        "no such base", command("align", "--gold=g.tsv", "--gold-base=2"), ("--gold-base", "0", "1")
    ),
    Mistake("heads without gold", command("align", "--heads", "Hello."), ("--heads needs --gold",)),
    Mistake(
        "heads as JSON",
        command("align", "--gold", "g.tsv", "--heads", "--json"),
        ("neither --json nor --reverse-run",),
    ),
    Mistake(
        "a sentence without words",
        on_run("align", "Hello.", "", damage=unchanged),
        ("nothing to align", "no words"),
    ),
    Mistake(
        "a reverse run of the same direction",
        on_run("align", "--reverse-run", "run", "Hello.", damage=unchanged),
        ("run translates from en to es", "opposite"),
    ),
    Mistake(
        "no such reverse run",
        on_run("align", "--reverse-run", "nowhere", "Hello.", damage=unchanged),
        ("nowhere: no run there", "translator train --run-dir nowhere"),
    ),
    Mistake(
        "no such pairs",
        on_run("align", "--pairs", "none.tsv", damage=unchanged),
        ("none.tsv: no such file",),
    ),
    Mistake(
        "pairs in one column",
        with_file("p.tsv", "a\tb\nonly\n", on_run("align", "--pairs=p.tsv", damage=unchanged)),
        ("p.tsv, line 2", "one column"),
    ),
    Mistake("gold without links", scored_on("a\tb\n"), ("g.tsv, line 1", "third column")),
    Mistake(
        "gold in another form", scored_on("a\tb\t0:0\n"), ("g.tsv, line 1", '"0:0" is not a link')
    ),
    Mistake("gold counted from 1", scored_on("a\tb\t1-1\n"), ("g.tsv, line 1", "--gold-base 1")),
    Mistake("no gold in the file", scored_on(""), ("g.tsv", "empty")),
    Mistake(
        "a page in no folder",
        on_run("align", "--page=no/a.html", "Hello.", "Hola.", damage=unchanged),
        ("no/a.html: No such file or directory",),
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
    monkeypatch.chdir(tmp_path)
    argv = mistake.make(Place(tmp_path, trained_run, monkeypatch))
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
    """Including lines that wait for a batch to fill."""
    stdin = b"Good evening.\n" * 9 + b"Caf\xe9\n" + b"Good evening.\n" * 9
    result = cli("translate", "--run-dir", str(trained_run), stdin=stdin)
    assert result.returncode == 2
    assert len(result.stdout.splitlines()) == 9
    assert result.stderr.splitlines()[-1].startswith("translator: standard input, line 10: ")


# --- in a separate process, since the operating system takes part ---------------------------------


def test_a_mistake_in_a_separate_process(cli: Cli) -> None:
    result = cli("train", "--training.max_step", "5")
    assert_one_clear_line(result, '"training.max_step"', '"training.max_steps"')


def test_without_a_network_the_alternatives_are_named(cli: Cli, tmp_path: Path) -> None:
    result = cli("prepare")
    parts = ["can't be downloaded", "--corpus.files", "--config hub", "data/downloads"]
    assert_one_clear_line(result, *parts)
    # Lock files begin with a dot.
    assert not [path for path in (tmp_path / "data").rglob("[!.]*") if path.is_file()]


def test_a_data_set_of_the_hub_without_a_network(cli: Cli) -> None:
    options = ["--corpus.hub_name=someone/pairs", "--corpus.hub_config=en-es"]
    result = cli("prepare", *options, env={"HF_HUB_OFFLINE": "1"})
    assert_one_clear_line(result, "someone/pairs en-es train", "--corpus.files pairs.tsv")
