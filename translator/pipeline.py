"""Train a translator from start to end: prepare the data, train, evaluate, write the report."""

import datetime
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

from translator.alignment.aligner import choose_alignment_head
from translator.alignment.guided_links import add_guided_links
from translator.alignment.snapshots import AttentionSnapshots, join_snapshots
from translator.config import (
    NO_VARIATION,
    Config,
    TrainingConfig,
    save_config,
)
from translator.data.batching import (
    BatchStream,
    PairIds,
    bpe_dropout_pairs,
    encoded_pairs,
    padding_share,
)
from translator.data.mixing import Mixture, mixed
from translator.data.phrases import open_phrases
from translator.data.prepare import Prepared, prepare
from translator.data.tokenizer import Tokenizer
from translator.data.variation import Variation
from translator.errors import TranslatorError, print_note
from translator.evaluation.metrics import evaluate
from translator.evaluation.robustness import measure_robustness, translate_with
from translator.inference.pytorch import PyTorchEngine, load_model
from translator.inference.translator import Translator, load_translator
from translator.model.transformer import Transformer, count_parameters
from translator.model.weights import get_weights, set_weights
from translator.runs.manifest import Manifest
from translator.runs.report import Sample, write_report
from translator.runs.run import Run
from translator.system.checksums import sha256_of
from translator.system.device import (
    Precision,
    describe_machine,
    keep_precision,
    limit_kernel_caches,
    peak_memory_bytes,
    pick_device,
    pick_precision,
    reuse_freed_memory,
)
from translator.text.lexicon import LEXICON_FILE
from translator.text.model_text import ModelText
from translator.training.distributed import World, process_group
from translator.training.embedding_init import init_from_cooccurrence
from translator.training.learner import Learner, estimate_steps
from translator.training.objectives import Objective, make_objective
from translator.training.run_checks import (
    base_run,
    given_tokenizer,
    identity_of,
    init_from_sha256,
    open_run,
    refuse_other_data,
    restore_lost_files,
)
from translator.training.tensorboard import require_tensorboard
from translator.training.trainer import Trainer

# Beam size of the second test score and of the samples, and number of samples in the report.
BEAM_SIZE = 5
_SAMPLES = 10
# Number of dev sentences that are changed to measure robustness; enough for differences of a point
# or two, in seconds.
_ROBUSTNESS_EXAMPLES = 300


def train(config: Config, run: Run) -> None:
    """Prepare the data if needed, train or resume, evaluate, and write the report.

    Raises:
        TranslatorError: the run can't be started or resumed; nothing in its folder is changed.
        TrainingStoppedError: the user stopped the training; it can be resumed.
    """
    device = pick_device(config.training.device)
    with ExitStack() as until_all_is_written:
        with process_group(device) as world:
            manifest = open_run(config, run)
            if manifest and manifest.state == "finished":
                world.log(f"{run.path} is finished: see {run.path / 'report.md'}")
                return
            if world.is_main:
                if config.training.tensorboard:
                    require_tensorboard()
                until_all_is_written.enter_context(run.locked())
            trainer = _train(config, run, device, world)
        if world.is_main:
            _finish(config, run, trainer)


def _train(config: Config, run: Run, device: torch.device, world: World) -> Trainer:
    """Prepare the data, start or resume the run, and train up to its last step."""
    _set_up_process(config)
    with world.main_process_first():
        prepared = prepare(config, world.is_first_on_machine, given_tokenizer(config, run))
    tokenizer = Tokenizer(prepared.tokenizer_dir / "tokenizer.model")
    torch.manual_seed(config.seed)
    model = Transformer(config.model, tokenizer.vocab_size).to(device)
    objective = make_objective(config.training, config.model.decoder_layers)
    make_batches = _batch_maker(config, prepared, tokenizer)
    manifest = _open_or_start_run(config, run, prepared, model, make_batches, world)
    training = _with_precision_of_run(config.training, manifest, device, world)
    max_steps = _max_steps(training, run, manifest, model, objective, make_batches, world)
    batches = make_batches()
    initialization_seconds = _initialize(config, run, model, batches, world)
    learner = Learner(training, model, objective, batches, max_steps, config.seed, world)
    validate = _validator(config, run, tokenizer)
    identity = identity_of(config, manifest, max_steps)
    trainer = Trainer(config.training, learner, validate, run, identity, world)
    trainer.resume()
    trainer.progress.seconds += initialization_seconds  # they count as training time
    if trainer.progress.step:
        world.log(f"resuming {run.path} at step {trainer.progress.step}")
    trainer.train()
    return trainer


def _set_up_process(config: Config) -> None:
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    reuse_freed_memory()
    limit_kernel_caches()


def _batch_maker(
    config: Config, prepared: Prepared, tokenizer: Tokenizer
) -> Callable[[], BatchStream]:
    """Return a function that makes a new `BatchStream`, at its first batch."""
    pairs = pairs_of_epoch(config, prepared, tokenizer)
    return lambda: BatchStream(pairs, config.training.batch_tokens, config.seed)


def _open_or_start_run(
    config: Config,
    run: Run,
    prepared: Prepared,
    model: Transformer,
    make_batches: Callable[[], BatchStream],
    world: World,
) -> Manifest:
    """Open the run in all processes; if it is new, the main process starts it first."""
    with world.main_process_first():
        manifest = open_run(config, run)
        if manifest is None and world.is_main:
            world.log(prepared.report.table())
            manifest = _start_run(config, run, prepared, model, make_batches())
        elif manifest is not None:
            refuse_other_data(config, run, manifest, prepared)
            if world.is_main:
                restore_lost_files(run, prepared, world.log)
    if manifest is None:
        raise TranslatorError(
            f"process {world.rank}: no {run.path} here: it must be on a file system that all "
            "machines of a training share"
        )
    return manifest


def _with_precision_of_run(
    training: TrainingConfig, manifest: Manifest, device: torch.device, world: World
) -> TrainingConfig:
    """Replace the precision "auto" with the one that the run was started with."""

    def precision() -> Precision:
        return keep_precision(training.precision, manifest.precision, device)

    return replace(training, precision=world.computed_by_main(precision))


def _max_steps(
    training: TrainingConfig,
    run: Run,
    manifest: Manifest,
    model: Transformer,
    objective: Objective,
    make_batches: Callable[[], BatchStream],
    world: World,
) -> int:
    """Return the last step of the run; a time budget is converted into steps only once."""
    if manifest.max_steps is not None:
        return manifest.max_steps
    world.log("measuring the speed of this machine …")
    max_steps = estimate_steps(training, model, objective, make_batches, world)
    if world.is_main:
        run.write_manifest(replace(manifest, max_steps=max_steps))
    return max_steps


def _initialize(
    config: Config, run: Run, model: Transformer, batches: BatchStream, world: World
) -> float:
    """Set the initial weights of a new run, the same in all processes.

    Returns:
        The time that this took, in seconds.
    """
    started = time.perf_counter()
    if not run.states:
        base = base_run(config)
        if base:
            set_weights(model, get_weights(load_model(base)))
        elif config.training.embedding_init:
            init_from_cooccurrence(model, batches.pairs)
        world.broadcast(list(model.parameters()))  # other machines may round differently
    return time.perf_counter() - started


def _start_run(
    config: Config, run: Run, prepared: Prepared, model: Transformer, batches: BatchStream
) -> Manifest:
    """Create the run folder, with everything that is known before the first step."""
    device = next(model.parameters()).device
    links = config.training.guided_alignment
    manifest = Manifest(
        state="training",
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        max_steps=config.training.max_steps,
        parameters=count_parameters(model),
        padding_share=padding_share(batches.pairs, batches.batches),
        src_lang=config.corpus.src_lang,
        tgt_lang=config.corpus.tgt_lang,
        corpus=prepared.report,
        versions={name: version(name) for name in ("translator", "torch", "sentencepiece")},
        machine=describe_machine(device),
        precision=pick_precision(config.training.precision, device),
        guided_alignment_sha256=sha256_of(Path(links)) if links else None,
        init_from_sha256=init_from_sha256(config),
    )
    with run.started() as new:
        save_config(config, new.config)
        for source in prepared.run_files:
            shutil.copyfile(source, new.path / source.name)
        new.write_manifest(manifest)
    print(
        f"training {manifest.parameters:,} parameters in {manifest.precision} on "
        f"{manifest.machine}; padding is {manifest.padding_share:.1%} of the batches",
        file=sys.stderr,
    )
    return manifest


def pairs_of_epoch(
    config: Config, prepared: Prepared, tokenizer: Tokenizer
) -> Callable[[int], PairIds]:
    """Return a function that returns the pairs of an epoch, weighted and varied as configured."""
    mixture = Mixture(
        counts=[source.train_pairs for source in prepared.report.sources],
        weights=[source.weight for source in config.corpus.each_source()],
        seed=config.seed,
    )
    pairs = mixed(_every_pair(config, prepared, tokenizer), mixture)
    if config.variation == NO_VARIATION:
        return pairs
    phrases = open_phrases(prepared.tokenizer_dir, prepared.report.words)
    count = sum(mixture.epoch_counts)
    variation = Variation(config.variation, pairs, count, phrases, tokenizer, config.seed)
    return lru_cache(maxsize=1)(variation)  # several streams ask for the first epoch


def _every_pair(
    config: Config, prepared: Prepared, tokenizer: Tokenizer
) -> Callable[[int], PairIds]:
    """Return a function that returns every training pair once, as it is in an epoch."""
    dropout, guidance = config.tokenizer.bpe_dropout, config.training.guided_alignment
    lexicon = prepared.tokenizer_dir / LEXICON_FILE
    if dropout:
        model_text = _model_text(config, lexicon)
        return bpe_dropout_pairs(prepared.corpus_dir, model_text, tokenizer, dropout, config.seed)
    fixed = encoded_pairs(prepared.tokenizer_dir)
    if guidance is None:
        return fixed
    model_text = _model_text(config, lexicon)
    guided = add_guided_links(fixed(0), Path(guidance), prepared.corpus_dir, model_text, tokenizer)
    return lambda epoch: guided


def _model_text(config: Config, lexicon: Path, alphabet: frozenset[str] = frozenset()) -> ModelText:
    return ModelText.load(lexicon, config.corpus.src_lang, config.corpus.tgt_lang, alphabet)


def _validator(
    config: Config, run: Run, tokenizer: Tokenizer
) -> Callable[[Transformer, int], float]:
    """Return a function that computes greedy BLEU on dev and draws a picture of cross-attention."""
    examples = run.read_held_out("dev")
    model_text = _model_text(config, run.lexicon, tokenizer.alphabet)
    pictures = AttentionSnapshots(run.attention, examples, config.model.decoder_layers)

    def dev_bleu(model: Transformer, step: int) -> float:
        translator = Translator(PyTorchEngine(model), tokenizer, model_text)
        lines, scores = evaluate(translator, examples, beam_size=1)
        if len(set(lines)) == 1 < len(lines):
            print_note(f'warning: every translation is "{lines[0]}"')
        pictures.draw(translator, step, f"step {step}, dev BLEU {scores.bleu:.1f}")
        return scores.bleu

    return dev_bleu


def _finish(config: Config, run: Run, trainer: Trainer) -> None:
    """Evaluate the best weights on test, and write the report."""
    translator = load_translator(run, config.training.device)
    examples = run.read_held_out("test")
    print("translating the test set …", file=sys.stderr)
    _, greedy = evaluate(translator, examples, beam_size=1)
    lines, beam = evaluate(translator, examples, beam_size=BEAM_SIZE)
    # Evenly spread over the test set, not picked by hand.
    picked = range(0, len(examples), max(1, len(examples) // _SAMPLES))
    samples = [Sample(examples[i].src, lines[i], examples[i].references) for i in picked][:_SAMPLES]
    print("measuring robustness …", file=sys.stderr)
    robustness = measure_robustness(
        translate_with(translator, beam_size=1),
        run.read_held_out("dev"),
        src_lang=translator.src_lang,
        tgt_lang=translator.tgt_lang,
        max_examples=_ROBUSTNESS_EXAMPLES,
        short=True,
    )
    join_snapshots(run.attention, run.path / "attention.png")
    manifest = replace(
        run.read_manifest(),
        state="finished",
        progress=trainer.progress,
        scores={"test, greedy": greedy, f"test, beam {BEAM_SIZE}": beam},
        robustness=robustness,
        peak_memory_bytes=peak_memory_bytes(),
        alignment_head=choose_alignment_head(translator, run),
    )
    shown = write_report(run, config, manifest, samples)
    run.write_manifest(manifest)
    print(shown)  # last, since standard output may be full or closed
    print_note(
        f"translate with: translator translate --run-dir {shlex.quote(str(run.path))} "
        '"Where is the library?"'
    )
