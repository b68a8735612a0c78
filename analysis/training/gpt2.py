"""GPT-2 with Hugging Face's parameter names, whose products can run on modelled crossbars.

After Radford et al. (2019): pre-norm decoder blocks, tanh GELU, a head tied to the token embedding; matrices are stored
[in, out]. Written from the definition, so that tests can hold the C++ engine against it. `decode` takes tokens as they
come and keeps the rows of K and V that were written. Embeddings and head stay digital when `crossbar` is given (as in
`vit.py`): weights of the blocks are then read with noise, K and V written with noise.

Shapes: B texts, T tokens, D width, H heads, E = D / H, V vocabulary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """Everything about the network that its tensors alone do not say, and what they do."""

    family: str = "gpt2"
    vocab_size: int = 64
    max_length: int = 128
    embed_dim: int = 96
    depth: int = 4
    num_heads: int = 3
    layer_norm_eps: float = 1e-5

    def to_dict(self) -> dict:
        return asdict(self)


class Conv1D(nn.Module):
    """x W + b with W [in, out], the transpose of nn.Linear's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor, crossbar=None, matrices: int = 1) -> torch.Tensor:
        """`matrices`: of how many side by side W consists, each with its own largest weight on crossbars."""
        if crossbar is None:
            return x @ self.weight + self.bias
        parts = zip(self.weight.chunk(matrices, dim=1), self.bias.chunk(matrices))
        return torch.cat([crossbar.linear(x, weight.t(), bias) for weight, bias in parts], dim=-1)


class Attention(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.num_heads = arch.num_heads
        self.c_attn = Conv1D(arch.embed_dim, 3 * arch.embed_dim)
        self.c_proj = Conv1D(arch.embed_dim, arch.embed_dim)

    def forward(self, x: torch.Tensor, crossbar=None, cache: list | None = None) -> torch.Tensor:
        """`cache`: empty or [K, V] of all tokens before, [B, T, D] each; it grows by those of x."""
        batch, tokens, width = x.shape
        q, k, v = self.c_attn(x, crossbar, matrices=3).chunk(3, dim=-1)
        if crossbar is not None:
            q, k, v = crossbar.quantise_inputs(q, heads=self.num_heads), crossbar.write(k), crossbar.write(v)
        if cache is not None:
            cache[:] = [torch.cat([old, new], dim=1) for old, new in zip(cache, (k, v))] or [k, v]
            k, v = cache

        def by_head(y):  # [B, T, D] -> [B, H, T, E]
            return y.view(batch, -1, self.num_heads, width // self.num_heads).transpose(1, 2)

        scores = (by_head(q) @ by_head(k).transpose(-2, -1)) * (width // self.num_heads) ** -0.5
        later = torch.ones(tokens, k.shape[1], dtype=torch.bool).triu(k.shape[1] - tokens + 1)
        probabilities = scores.masked_fill(later, float("-inf")).softmax(dim=-1)
        if crossbar is not None:
            probabilities = crossbar.quantise_inputs(probabilities)
        return self.c_proj((probabilities @ by_head(v)).transpose(1, 2).reshape(batch, tokens, width), crossbar)


class Mlp(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.c_fc = Conv1D(arch.embed_dim, 4 * arch.embed_dim)
        self.c_proj = Conv1D(4 * arch.embed_dim, arch.embed_dim)

    def forward(self, x: torch.Tensor, crossbar=None) -> torch.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x, crossbar), approximate="tanh"), crossbar)


class Block(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.ln_1 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.attn = Attention(arch)
        self.ln_2 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.mlp = Mlp(arch)

    def forward(self, x: torch.Tensor, crossbar=None, cache: list | None = None) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x), crossbar, cache)
        return x + self.mlp(self.ln_2(x), crossbar)


class Gpt2(nn.Module):
    """`forward(tokens [B, T]) -> logits [B, T, V]` of the token after each."""

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.wte = nn.Embedding(arch.vocab_size, arch.embed_dim)
        self.wpe = nn.Embedding(arch.max_length, arch.embed_dim)
        self.h = nn.ModuleList(Block(arch) for _ in range(arch.depth))
        self.ln_f = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)

    def initialise(self, query_key_gain: float = 1.0) -> None:
        """GPT-2's normals, those that end a residual branch smaller by the root of their number; `query_key_gain`
        multiplies W_Q and W_K."""
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and parameter.ndim == 2:
                branch = (2 * self.arch.depth) ** -0.5 if name.endswith("c_proj.weight") else 1.0
                std = 0.02 if name.startswith("w") else parameter.shape[0] ** -0.5
                nn.init.normal_(parameter, std=std * branch)
        with torch.no_grad():
            for block in self.h:
                block.attn.c_attn.weight[:, : 2 * self.arch.embed_dim] *= query_key_gain

    def forward(self, tokens: torch.Tensor, crossbar=None) -> torch.Tensor:
        return self._logits(tokens, 0, [None] * len(self.h), crossbar)

    def decode(self, tokens: torch.Tensor, caches: list[list], crossbar=None) -> torch.Tensor:
        """Logits [B, T, V] of tokens that follow those in `caches` (begin with `new_caches()`), which take theirs in."""
        before = caches[0][0].shape[1] if caches[0] else 0
        return self._logits(tokens, before, caches, crossbar)

    def new_caches(self) -> list[list]:
        return [[] for _ in self.h]

    def _logits(self, tokens, before: int, caches, crossbar) -> torch.Tensor:
        x = self.wte(tokens) + self.wpe(before + torch.arange(tokens.shape[1]))
        for block, cache in zip(self.h, caches):
            x = block(x, crossbar, cache)
        return self.ln_f(x) @ self.wte.weight.t()
