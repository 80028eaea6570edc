"""Search: from a source to the target that the model finds most probable."""

import torch
import torch.nn.functional as F
from torch import Tensor

from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from translator.inference.engine import FORBIDDEN_IDS, Hypothesis, length_limit
from translator.model.cache import DecoderCache
from translator.model.transformer import Transformer


def length_limits(src_padding_mask: Tensor) -> Tensor:
    """The `length_limit` of each source, (B,)."""
    lengths = (~src_padding_mask).sum(dim=1).tolist()
    return torch.tensor([length_limit(n) for n in lengths], device=src_padding_mask.device)


@torch.inference_mode()
def greedy_search(
    model: Transformer, src: Tensor, src_padding_mask: Tensor, *, with_scores: bool = True
) -> list[Hypothesis]:
    """Take the most probable piece at each step.

    Args:
        model: in evaluation mode
        src: ids (B, S), each row ending with eos, then padding
        src_padding_mask: (B, S), True at padding
        scored: find log_prob too; which piece is best can be seen without the softmax

    Returns:
        A hypothesis for each row.
    """
    limits = length_limits(src_padding_mask)  # (B,)
    longest = int(limits.max())
    cache = model.start(model.encode(src, src_padding_mask), src_padding_mask, longest)
    ids = src.new_full((src.size(0), longest), PAD_ID)  # (B, longest)
    log_probs = torch.zeros(src.size(0), device=src.device)
    rows = torch.arange(src.size(0), device=src.device)  # those not finished
    tokens = torch.full_like(rows, BOS_ID)
    for length in range(1, longest + 1):
        pieces, best = _best_next(
            model, tokens, cache, 1, with_scores=with_scores
        )  # (rows, 1) each
        tokens = pieces[:, 0]
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


def _from_row(row: list[int], log_prob: float) -> Hypothesis:
    complete = EOS_ID in row
    length = row.index(EOS_ID) + 1 if complete else row.index(PAD_ID) if PAD_ID in row else len(row)
    return Hypothesis(row[: length - complete], log_prob, length, complete)


@torch.inference_mode()
def beam_search(
    model: Transformer,
    src: Tensor,
    src_padding_mask: Tensor,
    beam_size: int,
    length_penalty: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Keep the `beam_size` most probable beginnings at each step.

    A beginning that ends within the first `beam_size` candidates is put aside. A sentence is done
    when `beam_size` hypotheses are put aside, or when none that goes on can still be better than
    the `n_best` best of them: a log-probability only falls, and is divided at most by the longest
    length allowed, so log_prob / limit ** length_penalty bounds what can come of a beginning.

    Args:
        model: in evaluation mode
        src: ids (B, S), each row ending with eos, then padding
        src_padding_mask: (B, S), True at padding
        beam_size: N
        length_penalty: exponent of the length in the score, not negative (Wu et al. 2016 discuss
            the choice); 0 compares sums and favours short translations
        n_best: hypotheses wanted for each row, at most N

    Returns:
        For each row its hypotheses, the best first; fewer than n_best if there are no more.
    """
    batch, n = src.size(0), beam_size
    limits = length_limits(src_padding_mask)  # (B,)
    longest = int(limits.max())
    cache = model.start(model.encode(src, src_padding_mask), src_padding_mask, longest, n)
    ids = src.new_empty((batch, n, 0))  # (B, N, length so far)
    # All beams of a sentence start alike: the first alone may go on, or each would be N times.
    log_probs = torch.full((batch, n), -torch.inf, device=src.device)  # (B, N)
    log_probs[:, 0] = 0
    rows = list(range(batch))  # the sentence behind each row not done
    done: list[list[Hypothesis]] = [[] for _ in range(batch)]
    tokens = src.new_full((batch * n,), BOS_ID)
    for length in range(1, longest + 1):
        # Of 2 N candidates at most N end, so that N are left to go on. The 2 N best of all are
        # among the 2 N best of each beginning.
        candidates, step_log_probs = _best_next(model, tokens, cache, 2 * n)
        each = candidates.size(1)  # 2 N, or as many as there are pieces
        totals = (log_probs.view(-1, 1) + step_log_probs).view(-1, n * each)  # (B, N × 2 N)
        totals, flat = totals.topk(min(2 * n, n * each), dim=1)  # (B, 2 N)
        beams, pieces = flat // each, candidates.view(-1, n * each).gather(1, flat)
        ends = pieces == EOS_ID
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
        beams, pieces = beams.gather(1, chosen), pieces.gather(1, chosen)
        ids = ids.gather(1, beams[:, :, None].expand(-1, -1, ids.size(2)))
        ids = torch.cat([ids, pieces[:, :, None]], dim=2)

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
        kept = torch.tensor(going_on, device=src.device)
        cache_rows = (torch.arange(len(rows), device=src.device)[:, None] * n + beams)[kept]
        if len(going_on) < len(rows):
            cache.select(kept, cache_rows.flatten())
            rows = [rows[row] for row in going_on]
            ids, log_probs, pieces, limits = ids[kept], log_probs[kept], pieces[kept], limits[kept]
        else:
            cache.reorder(cache_rows.flatten())
        tokens = pieces.flatten()  # (B × N)
    return [
        sorted(hypotheses, key=lambda h: h.score(length_penalty), reverse=True)[:n_best]
        for hypotheses in done
    ]


def _beaten(done: list[Hypothesis], bound: float, length_penalty: float, n_best: int) -> bool:
    """Whether `n_best` hypotheses are at least as good as anything that can still come."""
    return sum(hypothesis.score(length_penalty) >= bound for hypothesis in done) >= n_best


# Logits made at once: these stay in a core's cache until the best are found, and beam search is
# faster by a tenth; with a quarter of it the products get too small.
_BLOCK_LOGITS = 2**20


def _best_next(
    model: Transformer, tokens: Tensor, cache: DecoderCache, count: int, *, with_scores: bool = True
) -> tuple[Tensor, Tensor]:
    """Read a piece of each target (see `Transformer.step`), and find the best that can follow.

    Returns:
        As `_top_tokens`, and the log-probabilities, not a number if not scored: (B × N, count)
        each.
    """
    states = model.step(tokens, cache)
    rows = max(1, _BLOCK_LOGITS // model.embedding.num_embeddings)
    all_pieces, all_log_probs = [], []
    for some in torch.split(states, rows):
        logits = model.logits(some).float()
        logits[:, FORBIDDEN_IDS] = -torch.inf
        pieces = _top_tokens(logits, count)
        all_pieces.append(pieces)
        if with_scores:
            all_log_probs.append(logits.log_softmax(dim=-1).gather(1, pieces))
        else:
            all_log_probs.append(torch.full_like(pieces, torch.nan, dtype=logits.dtype))
    return torch.cat(all_pieces), torch.cat(all_log_probs)


# Pieces in a block of `_top_tokens`; with half or twice as many it takes longer.
_BLOCK = 64


def _top_tokens(logits: Tensor, count: int) -> Tensor:
    """The ids of the highest logits, (B, count), the best first.

    The `count` best are in the `count` blocks that have the best maxima; to look only there takes
    a half (count 10) to a quarter (count 1) of the time that `topk` takes for whole rows.

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
    pieces = chosen.gather(1, places // _BLOCK) * _BLOCK + places % _BLOCK
    return pieces.masked_fill(pieces >= logits.size(1), PAD_ID)  # what was filled up
