"""How good is a translator? BLEU and chrF."""
