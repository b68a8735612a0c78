"""A vision transformer on noisy crossbars in PyTorch, written for speed: what a user would write instead of crossweep.

Decides how the products are computed; the network and its weights are `training/vit.py`'s. The noise laws are those of
ClipFormer (arXiv 2402.02586), in weight units as in `training/crossbar_noise.py`, which is written for training and
checks this module. For inference only: operations are in place, nothing is differentiable.

Shapes: B images, T tokens, D width, H heads, E = D / H; weights [out, in].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from vit import VisionTransformer

TOP_LEVEL = 255  # 256 conductance levels, sign aside
TOP_CODE = 127  # signed 8-bit inputs


@dataclass(frozen=True)
class Noise:
    """Noise and clipping; `alpha = 0` and `beta = 1` skip ClipFormer's two stages, a sigma of 0 a kind of noise."""

    read_sigma: float = 0.05
    write_sigma: float = 0.1
    gamma: float = 3.0
    on_off_ratio: float = 100.0
    alpha: float = 2.0
    beta: float = 0.25

    @property
    def off_level(self) -> float:
        """G_min in levels."""
        return TOP_LEVEL / (self.on_off_ratio - 1)


class Digital:
    """Exact products. The encoder's matrices are numbered qkv, proj, fc1, fc2 of block 0, then of block 1, ..."""

    def __init__(self, model: VisionTransformer):
        self.heads = model.arch.num_heads
        layers = [layer for b in model.blocks for layer in (b.attn.qkv, b.attn.proj, b.mlp.fc1, b.mlp.fc2)]
        self.weights = [layer.weight.detach().clone() for layer in layers]
        self.biases = [layer.bias.detach().clone() for layer in layers]

    def begin_batch(self) -> None:
        """Draw what is drawn once for a batch."""

    def linear(self, x: torch.Tensor, index: int) -> torch.Tensor:
        return F.linear(x, self.weights[index], self.biases[index])

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """softmax(q kᵀ / sqrt(E)) v, everything [B, T, D]."""
        q, k, v = self.by_head(q), self.by_head(k), self.by_head(v)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return join_heads(scores.softmax(-1) @ v)

    def by_head(self, y: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> [B, H, T, E]"""
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Frozen(Digital):
    """Read noise drawn once per batch for the weights and once per write for K and V, as Python frameworks do it.

    With `redraw=False` the weights keep their first draw: one chip for all batches.
    """

    def __init__(self, model: VisionTransformer, noise: Noise, redraw: bool = True):
        super().__init__(model)
        self.noise, self.redraw = noise, redraw
        self.ideal = [on_levels(w, parts_of(i)) for i, w in enumerate(self.weights)]
        self.deviations = [read_deviation(w, parts_of(i), noise) for i, w in enumerate(self.ideal)]
        self.draw_weights()

    def draw_weights(self) -> None:
        for weight, ideal, deviation in zip(self.weights, self.ideal, self.deviations):
            torch.addcmul(ideal, deviation, weight.normal_(), out=weight)

    def begin_batch(self) -> None:
        if self.redraw:
            self.draw_weights()

    def linear(self, x: torch.Tensor, index: int) -> torch.Tensor:
        return super().linear(dequantised(x), index)

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = dequantised(self.by_head(q)), self.by_head(self.read(k)), self.by_head(self.read(v))
        scores = q.mul_(q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return join_heads(dequantised(scores.softmax(-1)) @ v)

    def read(self, operand: torch.Tensor) -> torch.Tensor:
        """K or V as it is read from the crossbars it was written to, in its own unit."""
        level, sign, step = write(operand, self.noise)
        level.addcmul_(level + self.noise.off_level, torch.randn_like(level), value=self.noise.read_sigma)
        return level.mul_(sign).mul_(step)


class PerRead(Digital):
    """Read noise fresh in every product. Its sum over a column is Gaussian with variance sigma² Σ x² G², so one normal
    per output and a second product of squares replace a draw per device and read, exactly."""

    def __init__(self, model: VisionTransformer, noise: Noise):
        super().__init__(model)
        self.noise = noise
        self.weights = [on_levels(w, parts_of(i)) for i, w in enumerate(self.weights)]
        self.variances = [read_deviation(w, parts_of(i), noise).square_() for i, w in enumerate(self.weights)]

    def linear(self, x: torch.Tensor, index: int) -> torch.Tensor:
        codes, scale = quantised(x)
        y = F.linear(codes, self.weights[index])
        add_noise(y, F.linear(codes.square_(), self.variances[index]))
        return torch.addcmul(self.biases[index], y, scale)

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        codes, scale = quantised(self.by_head(q))
        k, k_variance, k_step = self.written(k)
        scores = codes @ k.transpose(-2, -1)
        add_noise(scores, codes.square_() @ k_variance.transpose(-2, -1))
        scores.mul_(scale * (k_step * q.unflatten(-1, (self.heads, -1)).shape[-1] ** -0.5))
        codes, scale = quantised(scores.softmax(-1))
        v, v_variance, v_step = self.written(v)
        y = codes @ v
        add_noise(y, codes.square_() @ v_variance)
        return join_heads(y.mul_(scale * v_step))

    def written(self, operand: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """K or V as written and the variance of a read, in levels [B, H, T, E], and the size of a level [B, 1, 1, 1]."""
        level, sign, step = write(operand, self.noise)
        variance = (level + self.noise.off_level).mul_(self.noise.read_sigma).square_()
        return self.by_head(level.mul_(sign)), self.by_head(variance), step.unsqueeze(-1)


def forward(model: VisionTransformer, images: torch.Tensor, products: Digital) -> torch.Tensor:
    """Logits [B, classes] with the encoder's products as `products` computes them; embedding and head are digital."""
    products.begin_batch()
    x = model.patch_embed(images)
    x = torch.cat([model.cls_token.expand(len(x), -1, -1), x], dim=1).add_(model.pos_embed)
    for index, block in enumerate(model.blocks):
        q, k, v = products.linear(block.norm1(x), 4 * index).chunk(3, dim=-1)
        x += products.linear(products.attention(q, k, v), 4 * index + 1)
        x += products.linear(F.gelu(products.linear(block.norm2(x), 4 * index + 2)), 4 * index + 3)
    return model.head(model.norm(x[:, 0]))


def join_heads(y: torch.Tensor) -> torch.Tensor:
    """[B, H, T, E] -> [B, T, D]"""
    return y.transpose(1, 2).flatten(2)


def parts_of(index: int) -> int:
    """W_Q, W_K and W_V lie in one tensor, but each has its own largest weight."""
    return 3 if index % 4 == 0 else 1


def quantised(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(codes, scale)`: 8 bits, symmetric, one scale per row. Two reductions: torch's aminmax is 20 times slower."""
    scale = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_()).clamp_min_(1e-30).div_(TOP_CODE)
    return (x * scale.reciprocal()).round_(), scale


def dequantised(x: torch.Tensor) -> torch.Tensor:
    codes, scale = quantised(x)
    return codes.mul_(scale)


def on_levels(weight: torch.Tensor, parts: int) -> torch.Tensor:
    """The nearest of 256 magnitudes for each weight, in weight units."""
    thirds = weight.unflatten(0, (parts, -1))
    step = thirds.abs().amax((1, 2), keepdim=True) / TOP_LEVEL
    return ((thirds / step).round() * step).flatten(0, 1)


def read_deviation(weight: torch.Tensor, parts: int, noise: Noise) -> torch.Tensor:
    """sigma (|W| + W_max / (r - 1)), which is sigma G in weight units (ClipFormer, eq. 8)."""
    thirds = weight.unflatten(0, (parts, -1)).abs()
    largest = thirds.amax((1, 2), keepdim=True)
    return (noise.read_sigma * (thirds + largest / (noise.on_off_ratio - 1))).flatten(0, 1)


def write(operand: torch.Tensor, noise: Noise) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """K or V [B, T, D] as `(level, sign, step)`: noisy magnitudes in levels above G_min, and a level's size [B, 1, 1].

    Clipped by ClipFormer's Algorithm 1; the write noise is gamma sigma sqrt(|W| W_max) (eq. 9).
    """
    level = operand.abs()
    step = level.amax((1, 2), keepdim=True).clamp_min_(1e-30).div_(TOP_LEVEL)
    level.mul_(step.reciprocal()).round_()
    ceiling = (noise.beta * noise.on_off_ratio - 1) * noise.off_level
    level.sub_(noise.alpha * noise.off_level).clamp_(0, ceiling)
    deviation = level.sqrt().mul_(noise.gamma * noise.write_sigma * TOP_LEVEL ** 0.5)
    return level.addcmul_(deviation, torch.randn_like(level)), operand.sign(), step


def add_noise(y: torch.Tensor, variance: torch.Tensor) -> None:
    """Add one normal of the given variance to each output; `variance` is used up."""
    y.addcmul_(variance.sqrt_(), torch.randn_like(y))
