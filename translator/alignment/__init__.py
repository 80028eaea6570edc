"""Which word became which: from cross-attention to word alignments."""
