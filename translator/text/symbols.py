"""Signs with a meaning to the model. Each is a token, alone or after a space."""

# Before a word: it is capitalized, or all in capitals; see `Casing`.
CAPITALIZED, UPPERCASE = "⇧", "⇪"
# Instead of a name, or of anything else that nobody translates; see `Protection`. They have no
# case, and are neither letters nor digits.
NAMES, OTHERS = "♔♕♖♗♘♙♚♛", "☰☱☲☳☴☵☶☷"
PLACEHOLDERS = NAMES + OTHERS
SYMBOLS = CAPITALIZED + UPPERCASE + PLACEHOLDERS
