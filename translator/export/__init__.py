"""How does another engine read a trained model? Convert a run to its format."""
