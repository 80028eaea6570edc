"""Search: from a memory to the target that the decoder finds most probable."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from translator.inference.engine import FORBIDDEN_IDS, Hypothesis, length_limit
from translator.model.cache import DecoderCache
from translator.model.decoder import Decoder
from translator.model.memory import Memory

# Marks a position at which no token is forced.
_FREE = -1


def length_limits(padding_mask: Tensor) -> Tensor:
    """The `length_limit` of each source, (B,)."""
    lengths = (~padding_mask).sum(dim=1).tolist()
    return torch.tensor([length_limit(n) for n in lengths], device=padding_mask.device)


@torch.inference_mode()
def greedy_search(
    decoder: Decoder,
    memory: Memory,
    *,
    with_scores: bool = True,
    prefixes: Sequence[list[int]] | None = None,
) -> list[Hypothesis]:
    """Take the most probable token at each step.

    Args:
        decoder: in evaluation mode
        memory: B sources
        with_scores: compute log_prob too; finding the best token doesn't need the softmax
        prefixes: tokens with which each target must begin; they are part of the hypothesis and of
            its log-probability. They must be tokens that a translation may have.

    Returns:
        A hypothesis for each source.
    """
    forced = _forced_tokens(prefixes, memory)  # (B, P)
    limits = _limits(memory, forced)  # (B,)
    longest = int(limits.max())
    cache = decoder.start(memory, longest)
    device = memory.states.device
    rows = torch.arange(len(limits), device=device)  # those not finished
    ids = torch.full((len(rows), longest), PAD_ID, device=device)  # (B, longest)
    log_probs = torch.zeros(len(rows), device=device)
    tokens = torch.full_like(rows, BOS_ID)
    for length in range(1, longest + 1):
        now = forced[rows, length - 1] if length <= forced.size(1) else None  # (rows,)
        candidates, best = _best_next(decoder, tokens, cache, 1, now, with_scores=with_scores)
        tokens = candidates[:, 0]  # (rows,)
        ids[rows, length - 1] = tokens
        log_probs[rows] += best[:, 0]
        going_on = ((tokens != EOS_ID) & (limits[rows] > length)).nonzero()[:, 0]
        if len(going_on) == 0:
            break
        if len(going_on) < len(rows):
            rows, tokens = rows[going_on], tokens[going_on]
            cache.select(going_on, going_on)
    pairs = zip(ids.tolist(), log_probs.tolist(), strict=True)
    return [_from_row(row, log_prob) for row, log_prob in pairs]


def _forced_tokens(prefixes: Sequence[list[int]] | None, memory: Memory) -> Tensor:
    """The prefixes as a matrix (B, P), padded with `_FREE`."""
    device = memory.states.device
    if prefixes is None:
        return torch.empty((len(memory.states), 0), dtype=torch.int64, device=device)
    rows = [torch.tensor(ids, dtype=torch.int64) for ids in prefixes]
    return pad_sequence(rows, batch_first=True, padding_value=_FREE).to(device)


def _limits(memory: Memory, forced: Tensor) -> Tensor:
    """The longest target of each source, (B,): a prefix leaves room for eos at least."""
    prefix_lengths = (forced != _FREE).sum(dim=1)
    return torch.maximum(length_limits(memory.padding_mask), prefix_lengths + 1)


def _from_row(row: list[int], log_prob: float) -> Hypothesis:
    complete = EOS_ID in row
    length = row.index(EOS_ID) + 1 if complete else row.index(PAD_ID) if PAD_ID in row else len(row)
    return Hypothesis(row[: length - complete], log_prob, length, complete)


@torch.inference_mode()
def beam_search(
    decoder: Decoder,
    memory: Memory,
    beam_size: int,
    length_penalty: float = 1.0,
    n_best: int = 1,
    *,
    prefixes: Sequence[list[int]] | None = None,
) -> list[list[Hypothesis]]:
    """Keep the `beam_size` most probable beginnings at each step.

    A beginning that ends within the first `beam_size` candidates is finished. A source is done when
    it has `beam_size` finished hypotheses, or when no live beginning can still beat the `n_best`
    best of them: a log-probability only falls, and the longest length allowed is the largest
    divisor, so log_prob / limit ** length_penalty bounds the score of every continuation.

    Args:
        decoder: in evaluation mode
        memory: B sources
        beam_size: N
        length_penalty: exponent of the length in the score, not negative (Wu et al. 2016 discuss
            the choice); 0 compares sums and favours short translations
        n_best: hypotheses wanted for each source, at most N
        prefixes: as in `greedy_search`

    Returns:
        For each source its hypotheses, the best first; fewer than n_best if there are no more.
    """
    batch, n, device = len(memory.states), beam_size, memory.states.device
    forced = _forced_tokens(prefixes, memory)  # (B, P)
    limits = _limits(memory, forced)  # (B,)
    longest = int(limits.max())
    cache = decoder.start(memory, longest, n)
    ids = torch.empty((batch, n, 0), dtype=torch.int64, device=device)  # (B, N, length so far)
    # All beams of a source start alike: only the first may go on, or each would appear N times.
    log_probs = torch.full((batch, n), -torch.inf, device=device)  # (B, N)
    log_probs[:, 0] = 0
    rows = list(range(batch))  # the sentence behind each row not done
    done: list[list[Hypothesis]] = [[] for _ in range(batch)]
    tokens = torch.full((batch * n,), BOS_ID, device=device)
    for length in range(1, longest + 1):
        # Of 2 N candidates at most N end, so that N are left to go on. The 2 N best of all are
        # among the 2 N best of each beginning.
        now = forced[rows, length - 1].repeat_interleave(n) if length <= forced.size(1) else None
        candidates, step_log_probs = _best_next(decoder, tokens, cache, 2 * n, now)
        each = candidates.size(1)  # 2 N, or the vocabulary if that is smaller
        totals = (log_probs.view(-1, 1) + step_log_probs).view(-1, n * each)  # (B, N × 2 N)
        totals, flat = totals.topk(min(2 * n, n * each), dim=1)  # (B, 2 N)
        beams, chosen_ids = flat // each, candidates.view(-1, n * each).gather(1, flat)
        ends = chosen_ids == EOS_ID
        ended = (ends[:, :n] & (totals[:, :n] > -torch.inf)).nonzero(as_tuple=True)
        found = zip(
            ended[0].tolist(),
            ids[ended[0], beams[ended]].tolist(),
            totals[ended].tolist(),
            strict=True,
        )
        for row, prefix, total in found:
            done[rows[row]].append(Hypothesis(prefix, total, length, complete=True))
        log_probs, chosen = totals.masked_fill(ends, -torch.inf).topk(n, dim=1)  # (B, N)
        beams, chosen_ids = beams.gather(1, chosen), chosen_ids.gather(1, chosen)
        ids = ids.gather(1, beams[:, :, None].expand(-1, -1, ids.size(2)))
        ids = torch.cat([ids, chosen_ids[:, :, None]], dim=2)

        going_on = []
        best_live = log_probs[:, 0].tolist()
        for row, (sentence, limit) in enumerate(zip(rows, limits.tolist(), strict=True)):
            bound = best_live[row] / limit**length_penalty
            if len(done[sentence]) >= n or _beaten(done[sentence], bound, length_penalty, n_best):
                continue
            if length == limit:
                if not done[sentence]:
                    prefix = ids[row, 0].tolist()
                    done[sentence].append(Hypothesis(prefix, best_live[row], length, False))
                continue
            going_on.append(row)
        if not going_on:
            break
        kept = torch.tensor(going_on, device=device)
        cache_rows = (torch.arange(len(rows), device=device)[:, None] * n + beams)[kept]
        if len(going_on) < len(rows):
            cache.select(kept, cache_rows.flatten())
            rows = [rows[row] for row in going_on]
            ids, log_probs, limits = ids[kept], log_probs[kept], limits[kept]
            chosen_ids = chosen_ids[kept]
        else:
            cache.reorder(cache_rows.flatten())
        tokens = chosen_ids.flatten()  # (B × N)
    return [
        sorted(hypotheses, key=lambda h: h.score(length_penalty), reverse=True)[:n_best]
        for hypotheses in done
    ]


def _beaten(done: list[Hypothesis], bound: float, length_penalty: float, n_best: int) -> bool:
    """Whether `n_best` hypotheses are at least as good as anything that can still come."""
    return sum(hypothesis.score(length_penalty) >= bound for hypothesis in done) >= n_best


# Logits computed at once: a block of this size stays in a core's cache until the best tokens are
# found, which makes beam search a tenth faster; with a quarter of it the products are too small.
_BLOCK_LOGITS = 2**20


def _best_next(
    decoder: Decoder,
    tokens: Tensor,
    cache: DecoderCache,
    count: int,
    forced: Tensor | None = None,
    *,
    with_scores: bool = True,
) -> tuple[Tensor, Tensor]:
    """Read a token of each target (see `Decoder.step`), and find the best ones to follow.

    Args:
        decoder: in evaluation mode
        tokens: ids (B × N,)
        cache: of the targets so far
        count: number of candidates for each target
        forced: (B × N,), the token that must follow each target, or `_FREE`; None if all are free
        with_scores: compute the log-probabilities

    Returns:
        The candidates as `_top_tokens`, and their log-probabilities, NaN without scores:
        (B × N, count) each. After a forced token the other candidates have a log-probability of
        -inf.
    """
    states = decoder.step(tokens, cache)
    rows = max(1, _BLOCK_LOGITS // decoder.embedding.num_embeddings)
    all_tokens, all_log_probs = [], []
    for number, block in enumerate(torch.split(states, rows)):
        logits = decoder.logits(block).float()
        logits[:, FORBIDDEN_IDS] = -torch.inf
        best = _top_tokens(logits, count)
        must = None if forced is None else forced[number * rows :][: len(block)]
        if must is not None:
            best[:, 0] = torch.where(must == _FREE, best[:, 0], must)
        all_tokens.append(best)
        if with_scores:
            log_probs = logits.log_softmax(dim=-1).gather(1, best)
            if must is not None:
                log_probs[:, 1:].masked_fill_((must != _FREE)[:, None], -torch.inf)
            all_log_probs.append(log_probs)
        else:
            all_log_probs.append(torch.full_like(best, torch.nan, dtype=logits.dtype))
    return torch.cat(all_tokens), torch.cat(all_log_probs)


# Tokens in a block of `_top_tokens`; half or twice as many take longer.
_BLOCK = 64


def _top_tokens(logits: Tensor, count: int) -> Tensor:
    """The ids of the highest logits, (B, count), the best first.

    The `count` best are in the `count` blocks with the best maxima. Searching only these takes a
    half (count 10) to a quarter (count 1) of the time of `topk` on whole rows.

    Args:
        logits: (B, V)
        count: how many; all of them if there are fewer
    """
    missing = -logits.size(1) % _BLOCK
    whole = F.pad(logits, (0, missing), value=-torch.inf) if missing else logits
    blocks = whole.view(len(whole), -1, _BLOCK)  # (B, V / 64, 64)
    chosen = blocks.amax(dim=2).topk(min(count, blocks.size(1)), dim=1).indices  # (B, count)
    among = blocks.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    places = among.topk(min(count, logits.size(1)), dim=1).indices  # (B, count)
    tokens = chosen.gather(1, places // _BLOCK) * _BLOCK + places % _BLOCK
    return tokens.masked_fill(tokens >= logits.size(1), PAD_ID)  # the padding of the last block
