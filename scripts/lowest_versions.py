"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

    python scripts/lowest_versions.py > constraints.txt
    pip install --constraint constraints.txt .

`make test-lowest` runs tests with them. PyTorch is left out: the package index has no older builds
for the CPU alone.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions(project: dict[str, Any]) -> list[str]:
    """Return a line such as `numpy==1.26` for each requirement with a lower bound."""
    requirements = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = [
        re.match(r"([\w-]+)(?:\[\w+\])?>=([\w.]+)", line)
        for lines in requirements
        for line in lines
    ]
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound and bound[1] != "torch"]


if __name__ == "__main__":
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(lowest_versions(project)))
