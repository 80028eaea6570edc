"""How does another engine get a trained model? Conversion to CTranslate2."""
