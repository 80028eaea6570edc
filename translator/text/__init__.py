"""What form does text have? Normalisation, sentences, and parts that are short enough."""
