"""The encoder-decoder Transformer (Vaswani et al. 2017, arXiv 1706.03762).

Shapes in the comments use one alphabet: B batch (or rows being decoded), S source length, T target
length, D d_model, H heads, K width of a head (D = H × K), V vocabulary, N beams.

Masks are True where something may NOT be seen, everywhere.
"""
