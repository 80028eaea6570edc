"""Using a trained model: search for the best translation, text in and text out."""
