"""One head per question on a shared embedding, and the loss that compares it with counts of votes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

CONCENTRATION_RANGE = (1.0, 100.0)


class QuestionHeads(nn.Module):
    """A Dirichlet over the answers of every question.

    The concentrations are alpha = S * softmax(logits) with S in [1, 100], so that the mean of the Dirichlet,
    which is the probability we read out, is softmax(logits), and S says how far the votes on such a subject
    scatter around it. Walmsley et al. (2022, MNRAS 509, 3966) bound each alpha to [1, 100] instead; with six
    answers no probability could then pass 100/105.

    Args:
        embedding_size: D.
        answers: Question name to its number of answers K, in the order of the workflow.
    """

    def __init__(self, *, embedding_size: int, answers: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(answers)
        # Keys of a ModuleList are numbers: a question's name may hold a dot, a parameter's may not.
        self.heads = nn.ModuleList(nn.Linear(embedding_size, count + 1) for count in answers.values())

    def forward(self, embedding: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(N, D) embeddings to, per question, logits (N, K) and log S (N,)."""
        outputs = {name: head(embedding) for name, head in zip(self.names, self.heads, strict=True)}
        low, high = CONCENTRATION_RANGE
        logits = {name: output[:, :-1] for name, output in outputs.items()}
        log_concentration = {
            name: torch.log(low + (high - low) * torch.sigmoid(output[:, -1])) for name, output in outputs.items()
        }
        return logits, log_concentration


def dirichlet_multinomial_loss(logits: Tensor, log_concentration: Tensor, votes: Tensor) -> Tensor:
    """Negative log-likelihood of vote counts under a Dirichlet-multinomial, without its constant term.

    -log L = log G(S + N) - log G(S) - sum_k [log G(a_k + n_k) - log G(a_k)], with a = S softmax(logits),
    N = sum_k n_k and G the gamma function (Walmsley et al. 2022, MNRAS 509, 3966, section 4.2). With one vote
    it is the cross-entropy. log G(a + n) - log G(a) is taken as log G(a + n) - log G(a + 1) + log a, which
    stays finite, with its gradient, where a underflows.

    Args:
        logits: (N, K).
        log_concentration: log S, (N,).
        votes: (N, K) counts n_k >= 0, which may be fractional; a row of zeros was not asked
            and costs nothing.

    Returns:
        (N,) losses.
    """
    log_alpha = log_concentration[:, None] + functional.log_softmax(logits, dim=1)
    alpha = log_alpha.exp()
    per_answer = torch.lgamma(alpha + votes) - torch.lgamma(alpha + 1) + log_alpha
    agreement = torch.where(votes > 0, per_answer, 0.0).sum(dim=1)
    total = votes.sum(dim=1)
    concentration = log_concentration.exp()
    evidence = torch.lgamma(concentration + total) - torch.lgamma(concentration + 1) + log_concentration
    return torch.where(total > 0, evidence - agreement, 0.0)
