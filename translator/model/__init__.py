"""The encoder-decoder Transformer (Vaswani et al. 2017, arXiv 1706.03762).

Shapes in the comments: B batch size (or rows being decoded), S source length, T target length,
D d_model, H heads, K head width (D = H × K), V vocabulary size, N beams.

All masks are True where a position must NOT be seen.
"""
