"""Convert a trained run for CTranslate2, an engine that translates without PyTorch.

CTranslate2 supports this architecture: pre-norm layers, rotary positions over neighbouring values,
ReLU, and one embedding, multiplied by √D. Only the names differ, and the projections of queries,
keys and values are one matrix.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from translator.data.tokenizer import BOS_ID, EOS_ID, UNK_ID, Tokenizer
from translator.errors import TranslatorError
from translator.inference.ctranslate2 import COMPUTE_TYPES, WEIGHTS_NAME, require_ctranslate2
from translator.inference.engine import FORBIDDEN_IDS
from translator.inference.pytorch import load_model
from translator.model.attention import MultiHeadAttention
from translator.model.layers import DecoderLayer, EncoderLayer, FeedForward
from translator.model.normalizers import softmax
from translator.model.transformer import Transformer
from translator.runs.run import Run
from translator.system.checksums import sha256_of, write_checksums
from translator.system.files import atomic_path, remove_temporaries
from translator.system.locks import locked

# Added to the logits of tokens that no translation may contain: far below any logit, but within the
# range of float16.
_FORBIDDEN_BIAS = -1e4
# Limit of the source length, in tokens: CTranslate2's own default.
_MAX_POSITIONS = 1024


def export_ctranslate2(run: Run) -> list[Path]:
    """Write a CTranslate2 model for each of `COMPUTE_TYPES` into the run; replace older ones.

    Returns:
        The folders of the models. Each also contains the SentencePiece model, so it can be used on
        its own.

    Raises:
        TranslatorError: CTranslate2 is not installed or can't express the model; the run is
            missing, damaged or of another format; or its weights changed during the export.
    """
    require_ctranslate2()
    run.require_own_tokenizer()
    with locked(run.ctranslate2):
        remove_temporaries(run.path, run.ctranslate2.name)
        _write_export(run)
    return [run.ctranslate2 / compute_type for compute_type in COMPUTE_TYPES]


def _write_export(run: Run) -> None:
    # Hashed before they are loaded, since a training may replace them at any moment.
    exported_sha256 = sha256_of(run.weights) if run.weights.exists() else ""
    model = load_model(run)
    _require_softmax(model)
    tokenizer = Tokenizer(run.tokenizer)
    vocabulary = tokenizer.pieces(list(range(tokenizer.vocab_size)))
    with atomic_path(run.ctranslate2) as temporary:
        for compute_type in COMPUTE_TYPES:
            folder = temporary / compute_type
            folder.mkdir(parents=True)
            spec = _specification(model, vocabulary)
            spec.validate()
            spec.optimize(quantization=compute_type)
            spec.save(str(folder))
            (folder / "tokenizer.model").write_bytes(run.tokenizer.read_bytes())
        write_checksums(temporary, {WEIGHTS_NAME: exported_sha256})
        if sha256_of(run.weights) != exported_sha256:
            raise TranslatorError(
                f"{run.weights}: a training has replaced the weights during the export; export "
                "them again"
            )


def _require_softmax(model: Transformer) -> None:
    """Raise an error if an attention uses another normalizer, which CTranslate2 doesn't have."""
    for name, module in model.named_modules():
        if isinstance(module, MultiHeadAttention) and module.normalizer is not softmax:
            raise TranslatorError(
                f"CTranslate2 can't express the attention normalizer of {name} "
                f"({getattr(module.normalizer, '__name__', type(module.normalizer).__name__)}): "
                "it supports softmax only; translate with the engine pytorch"
            )


def _specification(model: Transformer, vocabulary: list[str]) -> Any:
    """The model as CTranslate2's `TransformerSpec`."""
    from ctranslate2.specs import (
        TransformerDecoderSpec,
        TransformerEncoderSpec,
        TransformerSpec,
        common_spec,
    )

    encoder_layers = [cast(EncoderLayer, layer) for layer in model.encoder.layers]
    decoder_layers = [cast(DecoderLayer, layer) for layer in model.decoder.layers]
    shared = {
        "num_heads": encoder_layers[0].self_attention.n_heads,
        "pre_norm": True,
        "activation": common_spec.Activation.RELU,
        "rotary_dim": 0,  # 0: rotate all values of a head
        "rotary_interleave": True,  # rotate pairs of neighbouring values
    }
    spec = TransformerSpec(
        TransformerEncoderSpec(len(encoder_layers), **shared),
        TransformerDecoderSpec(len(decoder_layers), **shared),
    )
    embedding = _array(model.embedding.weight)  # (V, D)
    encoder, decoder = spec.encoder, spec.decoder
    for embedded in (encoder.embeddings[0], decoder.embeddings):
        embedded.weight = embedding
        embedded.multiply_by_sqrt_depth = True
    # CTranslate2 always adds positions to the source. Here they are zeros, since the positions are
    # in the rotation.
    encoder.position_encodings.encodings = np.zeros(
        (_MAX_POSITIONS, model.embedding.embedding_dim), np.float32
    )
    _set_norm(encoder.layer_norm, model.encoder.norm)
    _set_norm(decoder.layer_norm, model.decoder.norm)
    for layer_spec, encoder_layer in zip(encoder.layer, encoder_layers, strict=True):
        _set_self_attention(layer_spec, encoder_layer)
        _set_feed_forward(layer_spec.ffn, encoder_layer.feed_forward, encoder_layer.ff_norm)
    for layer_spec, decoder_layer in zip(decoder.layer, decoder_layers, strict=True):
        _set_self_attention(layer_spec, decoder_layer)
        _set_cross_attention(layer_spec.attention, decoder_layer)
        _set_feed_forward(layer_spec.ffn, decoder_layer.feed_forward, decoder_layer.ff_norm)
    decoder.projection.weight = embedding
    decoder.projection.bias = np.zeros(len(vocabulary), np.float32)
    decoder.projection.bias[FORBIDDEN_IDS] = _FORBIDDEN_BIAS
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.unk_token = vocabulary[UNK_ID]
    spec.config.bos_token = spec.config.decoder_start_token = vocabulary[BOS_ID]
    spec.config.eos_token = vocabulary[EOS_ID]
    spec.config.add_source_eos = True
    return spec


def _set_self_attention(spec: Any, layer: EncoderLayer | DecoderLayer) -> None:
    attention = layer.self_attention
    _set_linear(spec.self_attention.linear[0], attention.query, attention.key, attention.value)
    _set_linear(spec.self_attention.linear[1], attention.output)
    _set_norm(spec.self_attention.layer_norm, layer.self_norm)


def _set_cross_attention(spec: Any, layer: DecoderLayer) -> None:
    attention = layer.cross_attention
    _set_linear(spec.linear[0], attention.query)
    _set_linear(spec.linear[1], attention.key, attention.value)
    _set_linear(spec.linear[2], attention.output)
    _set_norm(spec.layer_norm, layer.cross_norm)


def _set_feed_forward(spec: Any, feed_forward: FeedForward, norm: nn.LayerNorm) -> None:
    _set_linear(spec.linear_0, feed_forward.up)
    _set_linear(spec.linear_1, feed_forward.down)
    _set_norm(spec.layer_norm, norm)


def _set_linear(spec: Any, *parts: nn.Linear) -> None:
    spec.weight = np.concatenate([_array(part.weight) for part in parts])


def _set_norm(spec: Any, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _array(parameter: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = parameter.detach().numpy()
    return array
