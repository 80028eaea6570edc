"""Load YAML that anybody may have written, in bounded time and memory, and without surprises."""

from typing import Any

import yaml

# In characters. The longest configuration is a tenth of this. Reading a file takes memory and time
# for every character: a minute for some megabytes.
MAX_CHARS = 50_000
# Settings are in sections, and lists in them.
_MAX_DEPTH = 10


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses aliases, deep nesting, `class_path`, and a key given twice."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; ten lines of aliases could expand to fill the memory."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported: write it out")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise yaml.YAMLError(f"settings inside settings, more than {_MAX_DEPTH} levels deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping.

        PyYAML would use the last of two values, and drop the others. jsonargparse would import the
        module that a `class_path` names.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # such a key is refused when its value is made
            line = key.start_mark.line + 1
            if key.value == "class_path":
                raise yaml.YAMLError(f'line {line}: "class_path" is not a setting')
            if key.value in lines:
                raise yaml.YAMLError(
                    f'line {line}: "{key.value}" is there already, in line {lines[key.value]}; '
                    "write it once"
                )
            lines[key.value] = line
        return node


def load_yaml(text: str) -> Any:
    """Load YAML.

    Raises:
        yaml.YAMLError: it is no YAML, or more of it than any settings have.
        ValueError: a date is impossible, or a number has thousands of digits.
    """
    if len(text) > MAX_CHARS:
        raise yaml.YAMLError(f"longer than {MAX_CHARS:,} characters, which no settings are")
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:  # brackets, which are read ahead
        raise yaml.YAMLError("brackets inside brackets without end") from error
