"""A vision transformer with timm's parameter names, whose products can run on modelled crossbars.

Decides the forward pass that training, variation-aware training and the tests share. The noise of the
crossbars lives in `crossbar_noise.py`; without it (`crossbar=None`) every product is exact.

Shapes: B images, T tokens (class token first), D width, H heads, E = D / H.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """Everything about the network that its tensors alone do not say, and what they do."""

    image_size: int = 28
    patch_size: int = 4
    in_channels: int = 1
    num_classes: int = 10
    embed_dim: int = 64
    depth: int = 6
    num_heads: int = 2
    mlp_ratio: int = 4
    layer_norm_eps: float = 1e-6

    @property
    def tokens(self) -> int:
        return (self.image_size // self.patch_size) ** 2 + 1

    def to_dict(self) -> dict:
        return asdict(self)


class Attention(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.num_heads = arch.num_heads
        self.qkv = nn.Linear(arch.embed_dim, 3 * arch.embed_dim)
        self.proj = nn.Linear(arch.embed_dim, arch.embed_dim)

    def forward(self, x: torch.Tensor, crossbar=None) -> torch.Tensor:
        batch, tokens, width = x.shape
        if crossbar is None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            # W_Q, W_K, W_V are three matrices, each with its own largest weight.
            rows = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3))
            q, k, v = (crossbar.linear(x, weight, bias) for weight, bias in rows)
            q, k, v = crossbar.quantise_inputs(q, heads=self.num_heads), crossbar.write(k), crossbar.write(v)

        def by_head(y):  # [B, T, D] -> [B, H, T, E]
            return y.view(batch, tokens, self.num_heads, width // self.num_heads).transpose(1, 2)

        q, k, v = by_head(q), by_head(k), by_head(v)
        scores = (q * (width // self.num_heads) ** -0.5) @ k.transpose(-2, -1)
        probabilities = scores.softmax(dim=-1)
        if crossbar is not None:
            probabilities = crossbar.quantise_inputs(probabilities)
        self.output = (probabilities @ v).transpose(1, 2).reshape(batch, tokens, width)
        return self.proj(self.output) if crossbar is None else crossbar.linear(self.output, self.proj.weight, self.proj.bias)


class Mlp(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.fc1 = nn.Linear(arch.embed_dim, arch.mlp_ratio * arch.embed_dim)
        self.fc2 = nn.Linear(arch.mlp_ratio * arch.embed_dim, arch.embed_dim)

    def forward(self, x: torch.Tensor, crossbar=None) -> torch.Tensor:
        if crossbar is None:
            return self.fc2(F.gelu(self.fc1(x)))
        hidden = F.gelu(crossbar.linear(x, self.fc1.weight, self.fc1.bias))
        return crossbar.linear(hidden, self.fc2.weight, self.fc2.bias)


class Block(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.norm1 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.attn = Attention(arch)
        self.norm2 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.mlp = Mlp(arch)

    def forward(self, x: torch.Tensor, crossbar=None) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), crossbar)
        return x + self.mlp(self.norm2(x), crossbar)


class PatchEmbed(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.proj = nn.Conv2d(arch.in_channels, arch.embed_dim, arch.patch_size, arch.patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """`forward(images [B, C, H, W]) -> logits [B, classes]`; `crossbar` as in `crossbar_noise.Crossbar`."""

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.patch_embed = PatchEmbed(arch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, arch.embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, arch.tokens, arch.embed_dim))
        self.blocks = nn.ModuleList(Block(arch) for _ in range(arch.depth))
        self.norm = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.head = nn.Linear(arch.embed_dim, arch.num_classes)

    def initialise(self, query_key_gain: float = 1.0) -> None:
        """timm's truncated normals; `query_key_gain` multiplies the initial W_Q and W_K (attention logits: its square)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in self.blocks:
                block.attn.qkv.weight[: 2 * self.arch.embed_dim] *= query_key_gain
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def forward(self, images: torch.Tensor, crossbar=None) -> torch.Tensor:
        x = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x, crossbar)
        return self.head(self.norm(x)[:, 0])
