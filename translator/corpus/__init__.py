"""Where do sentence pairs come from? Read a corpus, clean it, and split it without leaks."""
