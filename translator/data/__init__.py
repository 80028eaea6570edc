"""How do sentence pairs become batches? Tokenizer, ids on disk, batches."""
