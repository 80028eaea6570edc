"""The code that reads files, settings and text, as functions of one input.

Each target is made for a folder. It imports the code under test itself, so that the fuzzer can
instrument it.
"""

import gzip
import lzma
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translator.errors import TranslatorError

if TYPE_CHECKING:
    from translator.inference.engine import Hypothesis

_ENDING = re.compile(r"(?<=\d)(?:st|nd|rd|th|s)(?!\w)")
# Takes an input. It may raise a TranslatorError; any other exception is a finding.
Target = Callable[[bytes], None]


def lines(folder: Path) -> Target:
    """Read files of sentences; lines of plain text must be read as they were written."""
    from translator.alignment.scoring import read_gold
    from translator.corpus.text_files import read_aligned, read_lines
    from translator.corpus.tsv import read_tsv

    packings: list[Callable[[bytes], bytes]] = [
        bytes,
        gzip.compress,
        lambda data: lzma.compress(data, preset=0),
    ]
    paths = [folder / "first", folder / "second"]

    def target(data: bytes) -> None:
        how = data[0] if data else 0
        pack = packings[how % 3]
        contents = data[1:].split(b"\0", 1)
        for path, content in zip(paths, contents, strict=False):
            path.write_bytes(pack(content))
        reader = how // 3 % 4
        if reader == 0:
            found = [line for _, line in read_lines(paths[0])]
            if pack is not bytes or not contents[0].startswith((b"\x1f\x8b", b"\xfd7zXZ")):
                written = contents[0].decode("utf-8-sig").split("\n")
                if not written[-1]:
                    written.pop()
                assert found == [line.rstrip("\r\n") for line in written]
        elif reader == 1:
            for row in read_tsv(paths[0], ["en", "es"], "en"):
                assert row.keys() == {"src", "tgt", "source"}
        elif reader == 2 and len(contents) == 2:
            list(read_aligned(paths, ["en", "es"], "es"))
        else:
            read_gold(paths[0], base=how // 12 % 2)

    return target


def config(folder: Path) -> Target:
    """Read settings from a file or from options; once saved, they must be read as the same."""
    from translator.cli.options import command_parser, parse
    from translator.cli.prepare import prepare_command
    from translator.config import Config, flatten, save_config
    from translator.config.parsing import add_config_options, load_config, make_config

    path = folder / "settings.yaml"
    keys = [*flatten(Config()), "corpus", "tokenizer", "variation", "model", "training"]

    def target(data: bytes) -> None:
        if data[:1] < b"\x80":
            path.write_bytes(data[1:])
            read = load_config(path)
        else:
            parser = command_parser(prepare_command, "")
            add_config_options(parser)
            # A command line can't contain a zero byte.
            given = [part for part in data[1:].replace(b"\0", b"").split(b"\n") if part]
            values = [part[1:].decode(errors="surrogateescape") for part in given]
            names = [keys[part[0] % len(keys)] for part in given]
            options = [f"--{name}={value}" for name, value in zip(names, values, strict=True)]
            read = make_config(parser, parse(parser, options))
        save_config(read, path)
        assert load_config(path) == read

    return target


def run(path: Path) -> Target:
    """Change one file of a run and read it; it must be refused or give the same result."""
    from translator.config import Config
    from translator.inference.translator import load_translator
    from translator.runs.listing import list_runs
    from translator.runs.measurements import read_measurements
    from translator.runs.run import Run
    from translator.training.checkpoint import load_state

    class CachedConfigRun(Run):
        """A run whose settings are read only once, since that takes longest."""

        def load_config(self) -> Config:
            return settings

    settings = Run(path).load_config()
    cached = CachedConfigRun(path)

    def translate() -> object:
        return load_translator(cached, "cpu").translate(["Good evening."], beam_size=1)

    def use() -> None:
        cached.read_manifest()
        read_measurements(cached.metrics)
        list_runs(path.parent)

    parameters = cached.read_manifest().parameters

    def state() -> object:
        loaded = load_state(cached.state, parameters)
        return loaded.state, {name: tensor.tolist() for name, tensor in loaded.tensors.items()}

    def held_out(split: str) -> object:
        return [(example.src, example.references) for example in cached.read_held_out(split)]

    readers: dict[Path, Callable[[], object]] = {
        cached.manifest: use,
        cached.config: lambda: load_translator(Run(path), "cpu") and None,
        cached.metrics: use,
        cached.weights: translate,
        cached.tokenizer: translate,
        cached.lexicon: translate,
        cached.state: state,
        cached.held_out("dev"): lambda: held_out("dev"),
        cached.held_out("test"): lambda: held_out("test"),
    }
    files = list(readers)
    contents = [file.read_bytes() for file in files]
    expected = [read() for read in readers.values()]

    def target(data: bytes) -> None:
        chosen = (data[0] if data else 0) % len(files)
        try:
            files[chosen].write_bytes(changed(contents[chosen], data[1:]))
            found = readers[files[chosen]]()
            assert found == expected[chosen], files[chosen].name
        finally:
            files[chosen].write_bytes(contents[chosen])

    return target


def changed(content: bytes, how: bytes) -> bytes:
    """Apply changes to a content; each takes an operation, a position and bytes from `how`."""
    for step in how.split(b"\xff"):
        operation, place, new = step[:1], int.from_bytes(step[1:4]), step[4:]
        at = place % (len(content) + 1)
        match (operation or b"\0")[0] % 5:
            case 0:
                content = content[:at] + new + content[at + len(new) :]
            case 1:
                content = content[:at] + new + content[at:]
            case 2:
                content = content[:at] + content[at + max(1, len(new)) :]
            case 3:
                content = content[:at]
            case 4:
                content = new
    return content


class Echo:
    """An engine that returns the source as its translation, to show what is lost around it."""

    def search(
        self,
        src: Sequence[list[int]],
        beam_size: int,
        length_penalty: float,
        n_best: int,
        *,
        with_scores: bool = True,
    ) -> "list[list[Hypothesis]]":
        """As `Engine.search`."""
        from translator.inference.engine import Hypothesis

        return [[Hypothesis(ids, -1.0, len(ids) + 1, complete=True)] for ids in src]

    def cross_attention(self, src: Any, tgt: Any, layers: Any) -> Any:
        """As `Engine.cross_attention`."""
        raise TranslatorError("this engine has no attention")


def text(path: Path) -> Target:
    """Translate texts; with the `Echo` engine only the form of signs and white space may change."""
    from translator.inference.translator import Translator, load_translator
    from translator.runs.run import Run
    from translator.text.normalization import normalize

    searching = load_translator(Run(path), "cpu")
    echoing = Translator(Echo(), searching.tokenizer, searching.model_text)

    def target(data: bytes) -> None:
        how = data[0] if data else 0
        searched = how % 8 == 7  # rare, since it takes much longer
        written = data[1:17] if searched else data[1:]
        texts = written.decode(errors="surrogateescape").split("\0")
        n_best = 1 + how // 8 % 3
        if searched:
            found = searching.translate(texts, beam_size=n_best, n_best=n_best)
        else:
            found = echoing.translate(texts)
        assert len(found) == len(texts)
        for asked, said in zip(texts, found, strict=True):
            "\n".join(
                [*said.warnings, *(alternative for alternative, _ in said.alternatives)]
            ).encode()
            # A last line that is empty doesn't count, so both get a letter more.
            assert len(f"{said.text}a".splitlines()) == len(f"{asked}a".splitlines())
            leading = asked[: len(asked) - len(asked.lstrip())]
            assert said.text.startswith(leading)
            if not any(map(str.isalpha, asked)):
                assert said.text == asked
            plain = normalize(asked)
            if not (searched or said.warnings or any(map(str.isupper, plain))):
                # English endings of numbers (21st, 1990s) are left out on purpose.
                assert _ENDING.sub("", normalize(said.text)) == _ENDING.sub("", plain)

    return target


TARGETS: dict[str, Callable[[Path], Target]] = {
    "lines": lines,
    "config": config,
    "run": run,
    "text": text,
}
# Valid inputs to start from, so that mutations of them reach more code.
_SENTENCES = (
    "Good evening.\tBuenas tardes.\t0-0 1p1\nIs Mr. Li in?\t¿Está el Sr. Li?\t1-1\n".encode()
)
SEEDS: dict[str, list[bytes]] = {
    "lines": [bytes([how]) + _SENTENCES + b"\0" + _SENTENCES for how in range(24)]
    + [b"\0" + gzip.compress(_SENTENCES), b"\0" + lzma.compress(_SENTENCES)],
    "config": [b"\0corpus:\n  files: [a.en, a.es]\ntraining:\n  max_steps: 1e3\nseed: null\n"]
    + [bytes([0x80, key]) + b"2\n\x02[en, es]" for key in range(45)],
    "run": [bytes([file, how % 5, 0, how, 77]) + b"0" for file in range(9) for how in range(10)],
    "text": [bytes([how]) + _SENTENCES + b"\0A 1.\n\n\xc2\xa1NO!" for how in range(24)],
}


def small_run(folder: Path) -> Path:
    """Train a tiny run in the folder, and return the path of the run."""
    from translator.config import Config, CorpusConfig, ModelConfig, TokenizerConfig, TrainingConfig
    from translator.pipeline import train
    from translator.runs.run import Run

    pairs = folder / "pairs.tsv"
    signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZáéíóúñü0123456789.,;:!?…'\"()¿¡-"
    rows = [f"Good evening {sign}.\tBuenas tardes {sign}.\n" for sign in signs]
    pairs.write_text("".join(rows), encoding="utf-8")
    settings = Config(
        corpus=CorpusConfig(files=str(pairs)),
        tokenizer=TokenizerConfig(vocab_size=120),
        model=ModelConfig(d_model=16, n_heads=2, encoder_layers=1, decoder_layers=2, d_ff=16),
        training=TrainingConfig(max_steps=4, evaluations=1, threads=1, device="cpu"),
        data_dir=str(folder / "data"),
    )
    path = folder / "runs" / "small"
    train(settings, Run(path))
    return path
