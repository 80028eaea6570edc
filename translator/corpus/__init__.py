"""From a public corpus to clean sentence pairs, split without leaks."""
