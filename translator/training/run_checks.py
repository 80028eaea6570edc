"""Check whether a run may be started or resumed with a configuration and its data."""

from pathlib import Path

from translator.config import Config, differing_keys, shape_keys
from translator.data.prepare import Prepared
from translator.errors import TranslatorError
from translator.runs.manifest import Manifest
from translator.runs.run import Run
from translator.system.checksums import sha256_of


def base_run(config: Config) -> Run | None:
    """Return the run in `training.init_from`; None if that is not set."""
    init_from = config.training.init_from
    return None if init_from is None else Run(Path(init_from))


def given_tokenizer(config: Config, run: Run) -> Path | None:
    """Return the tokenizer of the run in `training.init_from`; None if that is not set.

    A run that was already started has its own copy, which is used instead.

    Raises:
        TranslatorError: the weights of that run don't fit the configuration.
    """
    base = base_run(config)
    if base is None:
        return None
    if run.tokenizer.is_file():
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
        TranslatorError: the folder is not a run, or was started with another configuration.
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
    elif not run.state.exists() and manifest.init_from_sha256 != init_from_sha256(config):
        changed = f"{run.path}: {config.training.init_from}"
    if changed:
        raise TranslatorError(
            f"{changed} has changed since this run was started; restore it, or train into another "
            "--run-dir"
        )


def init_from_sha256(config: Config) -> str | None:
    """Return the SHA-256 of the weights in `training.init_from`; None if that is not set."""
    base = base_run(config)
    return sha256_of(base.weights) if base else None
