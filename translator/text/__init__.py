"""What form does text have? The steps that prepare it for a model and undo that afterwards."""
