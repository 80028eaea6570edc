"""How is text prepared for a model, and the translation restored? Steps that can be undone."""
