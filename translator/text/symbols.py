"""Signs with a meaning to the model. Each is a token, alone or after a space."""

# Before a word: it is capitalized, or all in capitals; see `Casing`.
CAPITALIZED, UPPERCASE = "⇧", "⇪"
# Instead of a name, a number, or anything else that nobody translates; see `Protection`. They have
# no case, and are neither letters nor digits: chess pieces, trigrams and hexagrams.
NAMES, NUMBERS, THINGS = "♔♕♖♗♘♙♚♛", "☰☱☲☳☴☵☶☷", "䷀䷁䷂䷃䷄䷅䷆䷇"
PLACEHOLDERS = NAMES + NUMBERS + THINGS
SYMBOLS = CAPITALIZED + UPPERCASE + PLACEHOLDERS
# What SentencePiece writes for a space, and for a character it doesn't know. Its vocabulary can't
# have them as characters.
SPACE, UNKNOWN = "▁", "▅"
# A training pair with one of these would teach the model a wrong meaning. In a text to translate
# they are protected (see `Protection`), so they are copied.
RESERVED = SYMBOLS + SPACE + UNKNOWN
