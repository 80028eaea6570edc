"""The configurations that come with the project, by name."""

from pathlib import Path

# A wheel has the files of configs/ inside the package; a checkout has them next to it.
_FOLDERS = [Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs"]


def presets() -> dict[str, Path]:
    """Return the file of each preset by its name, such as `quickstart`."""
    return {path.stem: path for folder in _FOLDERS for path in sorted(folder.glob("*.yaml"))}
