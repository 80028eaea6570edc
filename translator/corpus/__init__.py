"""How does a corpus become clean sentence pairs? Reading, cleaning, splitting without leaks."""
