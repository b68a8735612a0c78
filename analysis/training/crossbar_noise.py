"""Crossbar non-idealities in PyTorch, for variation-aware training and as an independent check of the C++ engine.

Follows ClipFormer (arXiv 2402.02586): weights are 8-bit conductances under read noise, K and V are clipped,
written under write noise and read under read noise, inputs are 8-bit. Everything is expressed in weight units:
the map G = G_min + (G_max - G_min) |W| / W_max makes a conductance error dG the weight error
dW = dG W_max / (G_max - G_min). Quantisation passes gradients straight through; noise is additive, its size
held constant in the backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

LEVELS = 256  # conductance levels of a composite 8-bit cell, sign aside


def straight_through(x: torch.Tensor, quantised: torch.Tensor) -> torch.Tensor:
    return x + (quantised - x).detach()


@dataclass
class Crossbar:
    """One setting of the non-idealities; `alpha = 0` and `beta = 1` skip ClipFormer's two stages."""

    read_sigma: float = 0.05
    write_sigma: float = 0.1
    gamma: float = 3.0
    on_off_ratio: float = 100.0
    alpha: float = 0.0
    beta: float = 1.0
    quantise: bool = True
    generator: torch.Generator | None = None

    def _normal(self, like: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(like, requires_grad=False).normal_(generator=self.generator)

    def quantise_inputs(self, x: torch.Tensor, heads: int = 1) -> torch.Tensor:
        """8 bits, symmetric, one scale per token row (per head for queries, each head being its own array input)."""
        if not self.quantise:
            return x
        rows = x.view(*x.shape[:-1], heads, -1)
        scale = rows.detach().abs().amax(dim=-1, keepdim=True).clamp_min(1e-30) / 127
        return straight_through(x, (torch.round(rows / scale) * scale).view_as(x))

    def _quantise_magnitude(self, w: torch.Tensor, w_max: torch.Tensor) -> torch.Tensor:
        if not self.quantise:
            return w
        step = w_max / (LEVELS - 1)
        return straight_through(w, torch.round(w / step) * step)

    def _read_noise(self, w: torch.Tensor, w_max: torch.Tensor) -> torch.Tensor:
        return self.read_sigma * self._normal(w) * (w.detach().abs() + w_max / (self.on_off_ratio - 1))

    def linear(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """x [..., in] times a stationary weight [out, in], read noise drawn once for the whole batch."""
        w_max = weight.detach().abs().amax()
        w = self._quantise_magnitude(weight, w_max)
        return F.linear(self.quantise_inputs(x), w + self._read_noise(w, w_max), bias)

    def write(self, operand: torch.Tensor) -> torch.Tensor:
        """K or V [B, T, D] as it is read back: quantised, clipped, with write noise, then read noise."""
        w_max = operand.detach().abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
        sign = operand.detach().sign()
        magnitude = self._quantise_magnitude(operand, w_max) * sign
        off = w_max / (self.on_off_ratio - 1)  # G_min in weight units
        if self.alpha > 0:
            magnitude = (magnitude - self.alpha * off).clamp_min(0)
        if self.beta < 1:
            ceiling = (self.beta * self.on_off_ratio - 1) * off
            magnitude = torch.minimum(magnitude, ceiling.expand_as(magnitude))
        noise = self.gamma * self.write_sigma * self._normal(magnitude) * (magnitude.detach() * w_max).sqrt()
        written = magnitude + noise
        read = self.read_sigma * self._normal(written) * (written.detach() + off)
        return sign * (written + read)
