"""Which word was translated as which? Word alignments from cross-attention."""
