"""Check whether a run may be started or resumed with a configuration, its data and its files."""

import json
from collections.abc import Callable
from pathlib import Path

from translator.config import Config, differing_keys, fixed_settings, shape_keys
from translator.data.prepare import Prepared
from translator.errors import TranslatorError
from translator.model.weights import read_origin
from translator.runs.manifest import Manifest
from translator.runs.run import Run
from translator.system.checksums import sha256_of
from translator.system.files import write_bytes
from translator.training.checkpoint import Identity, LoadedState

# What the state was called when it was a pickle, which this version doesn't read.
_OLD_STATE = "training_state.pt"


def base_run(config: Config) -> Run | None:
    """Return the run in `training.init_from`; None if that is not set."""
    init_from = config.training.init_from
    return None if init_from is None else Run(Path(init_from))


def given_tokenizer(config: Config, run: Run) -> Path | None:
    """Return the tokenizer of the run in `training.init_from`; None if that is not set.

    A run that was already started has its own copy, which is used instead if it is intact.

    Raises:
        TranslatorError: the weights of that run don't fit the configuration.
    """
    base = base_run(config)
    if base is None:
        return None
    if run.tokenizer.is_file() and run.is_intact(run.tokenizer) and run.is_intact(run.lexicon):
        return run.tokenizer
    base.require_own_tokenizer()
    wanted, there = shape_keys(config), shape_keys(base.load_config())
    differing = [f"{key} ({there[key]} there)" for key in wanted if wanted[key] != there[key]]
    if differing:
        raise TranslatorError(
            f"training.init_from {base.path}: its weights don't fit this configuration, which "
            f"differs in {', '.join(differing)}; leave these keys out to take them from there"
        )
    return base.tokenizer


def open_run(config: Config, run: Run) -> Manifest | None:
    """Read the manifest of a run, and check its configuration.

    Returns:
        The manifest; None for a new run.

    Raises:
        TranslatorError: the folder is not a run, was started with another configuration, or was
            stopped by an earlier version.
    """
    if run.path.name in ("", ".."):
        raise TranslatorError(f"--run-dir {run.path}: give the run a folder of its own")
    if run.path.is_symlink() and not run.path.exists():
        raise TranslatorError(
            f"{run.path}: a link to {run.path.readlink()}, which doesn't exist; create that folder"
        )
    if run.is_new():
        return None
    manifest = run.read_manifest()
    changed = differing_keys(run.load_config(), config)
    if changed:
        raise TranslatorError(
            f"{run.path} was started with another configuration: {', '.join(changed)} "
            f"{'differs' if len(changed) == 1 else 'differ'}; go on with --config "
            f"{run.config}, or train into another --run-dir"
        )
    old_state = run.path / _OLD_STATE
    if manifest.state == "training" and old_state.exists():
        raise TranslatorError(
            f"{old_state}: saved by an earlier version of translator "
            f"({manifest.versions.get('translator', 'unknown')}), and this version can't read it: "
            f"finish the run with that version, or delete {run.path} to train from the start"
        )
    return manifest


def refuse_other_data(config: Config, run: Run, manifest: Manifest, prepared: Prepared) -> None:
    """Check that the data are the same as when the run was started.

    Raises:
        TranslatorError: the corpus, the links or the initial weights have changed.
    """
    guidance = config.training.guided_alignment
    changed = None
    if manifest.corpus.hashes != prepared.report.hashes:
        changed = f"{run.path}: the corpus"
    elif guidance and manifest.guided_alignment_sha256 != sha256_of(Path(guidance)):
        changed = f"{run.path}: {guidance}"
    # Once a state is saved, the run no longer needs the weights that it started from.
    elif not run.states and manifest.init_from_sha256 != init_from_sha256(config):
        changed = f"{run.path}: {config.training.init_from}"
    if changed:
        raise TranslatorError(
            f"{changed} has changed since this run was started; restore it, or train into another "
            "--run-dir"
        )


def restore_lost_files(run: Run, prepared: Prepared, log: Callable[[str], None]) -> None:
    """Copy what a run has lost of the preparation: the tokenizer, the lexicon, dev or test.

    Args:
        run: a run that was started on the same data, see `refuse_other_data`
        prepared: the preparation
        log: prints a line for each file
    """
    for source in prepared.run_files:
        path = run.path / source.name
        if not run.is_intact(path):
            write_bytes(path, source.read_bytes())
            log(f"note: {path} was missing or damaged; restored from {source}")


def identity_of(config: Config, manifest: Manifest, max_steps: int) -> Identity:
    """Return what a training computes."""
    # As they are after they were stored, when a tuple is a list.
    settings = json.loads(json.dumps(fixed_settings(config)))
    data: dict[str, str | None] = {
        f"the data ({name})": sha256 for name, sha256 in manifest.corpus.hashes.items()
    }
    data["training.guided_alignment"] = manifest.guided_alignment_sha256
    data["training.init_from"] = manifest.init_from_sha256
    return Identity(settings, data, max_steps)


def refuse_foreign_state(run: Run, loaded: LoadedState, identity: Identity) -> None:
    """Check that a state was saved by this training.

    Raises:
        TranslatorError: it was not, and the message names what differs.
    """
    differing = loaded.state.identity.differences(identity)
    if differing:
        there = loaded.state.identity.max_steps
        steps = f"max_steps ({there} there, {identity.max_steps} in {run.manifest})"
        names = ", ".join(steps if name == "max_steps" else name for name in differing)
        raise TranslatorError(
            f"{loaded.path}: the state of another training, which differs in {names}; restore the "
            "file that was changed, or train into another --run-dir"
        )


def weights_are_newer(
    run: Run, loaded: LoadedState | None, identity: Identity, parameters: int
) -> bool:
    """Check that the weights of a run belong to the state that it resumes from.

    They may also be newer: saved in an evaluation after that state, by a process that was killed
    before it could save the next one.

    Args:
        run: the run
        loaded: its state; None before the first
        identity: what it computes
        parameters: number of parameters of the model

    Returns:
        Whether they are newer. The evaluation that saved them will be repeated.

    Raises:
        TranslatorError: they are missing, damaged, or those of another training.
    """
    step, saved = 0, None
    if loaded is not None:
        identity = loaded.state.identity  # another version of the code may add settings to it
        step, saved = loaded.state.progress.step, loaded.state.weights_sha256
    if saved is None and not run.weights.exists():
        return False
    origin, sha256 = read_origin(run.weights, parameters)
    if saved is not None and sha256 == saved:
        return False
    if origin is None or origin.training != identity.fingerprint or origin.step <= step:
        raise TranslatorError(
            f"{run.weights}: not the weights that this training saved before step {step}; restore "
            f"the file, or delete {run.path} to train from the start"
        )
    return True


def init_from_sha256(config: Config) -> str | None:
    """Return the SHA-256 of the weights in `training.init_from`; None if that is not set."""
    base = base_run(config)
    return sha256_of(base.weights) if base else None
