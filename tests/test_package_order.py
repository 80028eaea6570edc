"""Imports follow the direction of the data: each package imports only from the ones before it."""

import ast
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "translator"
# As translator/README.md lists them. The package itself only loads a run, when it is asked to.
ORDER = [
    "errors",
    "system",
    "config",
    "text",
    "corpus",
    "data",
    "model",
    "runs",
    "training",
    "inference",
    "evaluation",
    "alignment",
    "export",
    "pipeline",
    "cli",
    "__main__",
]
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room(name: str) -> str:
    """`model` for `translator.model.decoder`."""
    return name.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    """Imports inside functions count, too."""
    own = ORDER.index(path.relative_to(PACKAGE).with_suffix("").parts[0])
    imported = [
        str(node.module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith("translator.")
    ]
    assert [name for name in imported if ORDER.index(room(name)) > own] == []


def test_the_top_level_has_nothing_else() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__"} == set(ORDER)


def test_files_that_are_no_modules_are_installed() -> None:
    """Such as py.typed, without which mypy ignores the types of an installed package."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    listed = {
        path
        for package, names in settings["tool"]["setuptools"]["package-data"].items()
        for name in names
        for path in PACKAGE.parent.joinpath(*package.split(".")).glob(name)
    }
    others = {
        path
        for path in PACKAGE.rglob("*.*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }
    assert PACKAGE / "py.typed" in others
    assert others == listed
