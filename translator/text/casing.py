"""Handle sentences in capitals, which a model hardly ever sees in training."""

from collections.abc import Sequence

from translator.text.pipeline import Applied

# A shorter text in capitals is more likely an abbreviation.
_MIN_UPPERCASE_LETTERS = 4


class Casing:
    """Convert a sentence in capitals to sentence case, and its translation back to capitals.

    `restore` undoes `apply` except for İ, ẞ and a few other capitals: they come back as the usual
    capitals of their lowercase letters (I with a combining dot above, SS).
    """

    def apply(self, text: str) -> Applied[bool]:
        """Convert a sentence in capitals; the state is whether it was in capitals."""
        uppercase = text.isupper() and sum(map(str.isalpha, text)) >= _MIN_UPPERCASE_LETTERS
        return Applied([text.capitalize() if uppercase else text], uppercase)

    def restore(self, parts: Sequence[str], state: bool) -> str:
        """Convert the text to capitals if the sentence was in capitals."""
        [text] = parts
        return text.upper() if state else text
