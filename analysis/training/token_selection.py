"""DynamicViT's token selection (arXiv 2106.02034): who scores the patch tokens, and how the best of them are kept.

Decides the scores, the deterministic selection of inference, and the differentiable one of training.
Shapes as in `vit.py`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Predictor(nn.Module):
    """Log-probabilities [B, N, 2] of (keep, drop) for patch tokens [B, N, D].

    Half of what it looks at is the token's own, the other half the mean over all kept tokens.
    """

    def __init__(self, width: int):
        super().__init__()
        # This LayerNorm has PyTorch's default ε of 1e-5 also where the encoder's have 1e-6, as published.
        self.in_conv = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.out_conv = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width // 4), nn.GELU(),
                                      nn.Linear(width // 4, 2), nn.LogSoftmax(dim=-1))

    def forward(self, patches: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """`kept` [B, N]: 1 for tokens that count in the mean, 0 for dropped ones; without it all count."""
        own, shared = self.in_conv(patches).chunk(2, dim=-1)
        if kept is None:
            mean = shared.mean(dim=1, keepdim=True)
        else:
            mean = (shared * kept[..., None]).sum(dim=1, keepdim=True) / kept.sum(dim=1).clamp_min(1)[:, None, None]
        return self.out_conv(torch.cat([own, mean.expand_as(shared)], dim=-1))


def keep_best(x: torch.Tensor, scores: torch.Tensor, count: int) -> torch.Tensor:
    """The class token and the `count` patch tokens of highest score, in their order in the image.

    Ties go to the earlier token. x [B, T, D], scores [B, N] -> [B, 1 + count, D].
    """
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :count].sort(dim=1).values
    chosen = F.pad(best + 1, (1, 0))  # 0 is the class token
    return x.gather(1, chosen[..., None].expand(-1, -1, x.shape[-1]))


def gumbel_decisions(log_probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random draw [B, N] from (keep, drop) [B, N, 2], 1 for keep; gradients are those of the Gumbel-softmax."""
    gumbel = -torch.empty_like(log_probabilities).exponential_(generator=generator).log()
    soft = (log_probabilities + gumbel).softmax(dim=-1)[..., 0]
    return (soft > 0.5).to(soft.dtype) + soft - soft.detach()


def masked_softmax(scores: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Softmax of scores [B, H, T, T]: a token sees itself and those with `visible` [B, T] = 1 (paper, section 3.3)."""
    column = visible[:, None, None, :]
    seen = column + (1 - column) * torch.eye(scores.shape[-1])
    weights = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp() * seen
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-6)
