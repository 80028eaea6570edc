"""Sentences in capitals, which a model hardly ever sees in training."""

from collections.abc import Sequence

from translator.text.pipeline import Applied

# A shorter text in capitals is more likely an abbreviation.
_MIN_UPPERCASE_LETTERS = 4


class Casing:
    """Lower a sentence in capitals to sentence case, and raise its translation again.

    `restore` undoes `apply` unless a capital is not the only one of its small letter: İ, ẞ and a
    few others come back as the usual capitals (I with a dot above, SS).
    """

    def apply(self, text: str) -> Applied[bool]:
        """Lower a sentence in capitals; the state is whether it was one."""
        uppercase = text.isupper() and sum(map(str.isalpha, text)) >= _MIN_UPPERCASE_LETTERS
        return Applied([text.capitalize() if uppercase else text], uppercase)

    def restore(self, parts: Sequence[str], state: bool) -> str:
        """Raise the text if the sentence was in capitals."""
        [text] = parts
        return text.upper() if state else text
