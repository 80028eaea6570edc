"""Search: from a source to the target that the model finds most probable."""

import torch
from torch import Tensor

from translator.inference.engine import FORBIDDEN_IDS, Hypothesis, length_limit
from translator.model.transformer import Transformer
from translator.tokenizer import BOS_ID, EOS_ID, PAD_ID


def length_limits(src_padding_mask: Tensor) -> Tensor:
    """The `length_limit` of each source, (B,)."""
    lengths = (~src_padding_mask).sum(dim=1).tolist()
    return torch.tensor([length_limit(n) for n in lengths], device=src_padding_mask.device)


@torch.inference_mode()
def greedy_search(model: Transformer, src: Tensor, src_padding_mask: Tensor) -> list[Hypothesis]:
    """Take the most probable piece at each step.

    Args:
        model: in evaluation mode
        src: ids (B, S), each row ending with eos, then padding
        src_padding_mask: (B, S), True at padding

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
        step_log_probs = _allowed_log_probs(model.step(tokens, cache))  # (rows, V)
        best, tokens = step_log_probs.max(dim=1)
        ids[rows, length - 1] = tokens
        log_probs[rows] += best
        going_on = ((tokens != EOS_ID) & (limits[rows] > length)).nonzero()[:, 0]
        if len(going_on) == 0:
            break
        if len(going_on) < len(rows):
            rows, tokens = rows[going_on], tokens[going_on]
            cache.select(going_on)
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
    cache = model.start(model.encode(src, src_padding_mask), src_padding_mask, longest)
    cache.select(torch.arange(batch, device=src.device).repeat_interleave(n))  # (B × N) rows
    ids = src.new_empty((batch, n, 0))  # (B, N, length so far)
    # All beams of a sentence start alike: the first alone may go on, or each would be N times.
    log_probs = torch.full((batch, n), -torch.inf, device=src.device)  # (B, N)
    log_probs[:, 0] = 0
    rows = list(range(batch))  # the sentence behind each row not done
    done: list[list[Hypothesis]] = [[] for _ in range(batch)]
    tokens = src.new_full((batch * n,), BOS_ID)
    for length in range(1, longest + 1):
        step_log_probs = _allowed_log_probs(model.step(tokens, cache))
        step_log_probs = step_log_probs.view(-1, n, step_log_probs.size(-1))  # (B, N, V)
        totals = (log_probs[:, :, None] + step_log_probs).flatten(1)  # (B, N × V)
        # Of 2 N candidates at most N end, so that N are left to go on.
        totals, flat = totals.topk(min(2 * n, totals.size(1)), dim=1)  # (B, 2 N)
        beams, pieces = flat // step_log_probs.size(-1), flat % step_log_probs.size(-1)
        ends = pieces == EOS_ID
        for row, rank in ends[:, :n].nonzero().tolist():
            total = totals[row, rank].item()
            if total > -torch.inf:
                prefix = ids[row, beams[row, rank]].tolist()
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
            cache.select(cache_rows.flatten())
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


def _allowed_log_probs(logits: Tensor) -> Tensor:
    """Log-probabilities (…, V) of logits among the pieces that a translation may have."""
    allowed = logits.float()
    allowed[:, FORBIDDEN_IDS] = -torch.inf
    return allowed.log_softmax(dim=-1)
