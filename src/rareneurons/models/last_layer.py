"""The part of a model that is needed to ablate the last MLP's neurons: all between their activations and the logits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch


@dataclass(frozen=True)
class Norm:
    """A norm, ``y = (x - mean) / scale * gain + bias`` or the same without the mean.

    ``kind`` is ``layer_norm`` (``scale^2 = var(x) + epsilon``) or ``rms_norm`` (``scale^2 = mean(x^2) + epsilon``).
    ``gain`` and ``bias`` have shape (d,); an RMSNorm's bias is zero.
    """

    kind: Literal["layer_norm", "rms_norm"]
    gain: torch.Tensor
    bias: torch.Tensor
    epsilon: float

    def centred(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (..., d) as the norm sees them: less their mean for LayerNorm, unchanged for RMSNorm."""
        return vectors - vectors.mean(-1, keepdim=True) if self.kind == "layer_norm" else vectors

    def without_bias(self, vectors: torch.Tensor) -> torch.Tensor:
        """Normed vectors (..., d) before the bias is added, in their own precision."""
        centred = self.centred(vectors)
        return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + self.epsilon) * self.gain

    def apply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Normed vectors (..., d), in their own precision."""
        return self.without_bias(vectors) + self.bias

    def to(self, device: str, dtype: torch.dtype) -> "Norm":
        """The same norm on another device or in another precision."""
        return Norm(self.kind, self.gain.to(device, dtype), self.bias.to(device, dtype), self.epsilon)

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Everything as arrays whose names begin with ``prefix``; ``from_arrays`` is the inverse."""
        return {
            f"{prefix}_gain": self.gain.detach().cpu().numpy(),
            f"{prefix}_bias": self.bias.detach().cpu().numpy(),
            f"{prefix}_epsilon": np.asarray([self.epsilon]),
            f"{prefix}_centres": np.asarray([self.kind == "layer_norm"]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> "Norm":
        """The norm that ``arrays`` described."""
        return cls(
            "layer_norm" if bool(arrays[f"{prefix}_centres"][0]) else "rms_norm",
            torch.from_numpy(arrays[f"{prefix}_gain"]),
            torch.from_numpy(arrays[f"{prefix}_bias"]),
            float(arrays[f"{prefix}_epsilon"][0]),
        )


def soft_capped(logits: torch.Tensor, cap: float | None) -> torch.Tensor:
    """``cap * tanh(logits / cap)`` (Gemma 2), or the logits unchanged where there is no cap."""
    return logits if cap is None else torch.tanh(logits / cap) * cap


@dataclass(frozen=True)
class LastLayer:
    """What comes between the last MLP's activations and the logits.

    ``output_weight`` (N, d); ``unembedding`` (V, d); ``logit_bias`` (V,), the constant part of the logits (the
    norm's bias through the unembedding, plus the unembedding's own); ``norm`` the final norm; ``input_weights`` name
    -> (N, d), the input weights of the same neurons, which ablation does not use; ``mlp_norm`` the norm of the MLP's
    output before it is added to the residual, where there is one; ``logit_cap`` the bound of soft-capped logits;
    ``expert`` int64 (N,) the neurons' experts, where there are any.
    """

    output_weight: torch.Tensor
    unembedding: torch.Tensor
    logit_bias: torch.Tensor
    norm: Norm
    input_weights: Mapping[str, torch.Tensor]
    mlp_norm: Norm | None = None
    logit_cap: float | None = None
    expert: np.ndarray | None = None

    @property
    def no_closed_form(self) -> str | None:
        """Why the closed form of ablation does not hold here; None where it holds."""
        reasons = []
        if self.mlp_norm is not None:
            reasons.append("a norm lies between the last MLP and the residual stream")
        if self.logit_cap is not None:
            reasons.append(f"logits are soft-capped at {self.logit_cap:g}")
        return " and ".join(reasons) or None

    def centred(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (..., d) as the final norm sees them."""
        return self.norm.centred(vectors)

    def added_to_residual(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """What the block adds to the residual stream for an output of its MLP (..., d)."""
        return mlp_output if self.mlp_norm is None else self.mlp_norm.apply(mlp_output)

    def logits(self, residual: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) for inputs (..., d) of the final norm."""
        return soft_capped(self.norm.without_bias(residual) @ self.unembedding.T + self.logit_bias, self.logit_cap)

    def losses(self, residual: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss (...) of integer targets (...) for inputs (..., d) of the final norm, nats, in their own precision."""
        logits = self.logits(residual)
        return torch.logsumexp(logits, -1) - logits.gather(-1, target[..., None])[..., 0]

    def with_centred_unembedding(self) -> "LastLayer":
        """The same layer, with an unembedding whose mean over the vocabulary is 0.

        That takes the same number from all logits, which changes no prediction without a soft cap, and sums over the
        vocabulary become more exact.
        """
        return replace(self, unembedding=self.unembedding - self.unembedding.mean(0))

    def to(self, device: str, dtype: torch.dtype) -> "LastLayer":
        """The same layer on another device or in another precision."""
        return LastLayer(
            self.output_weight.to(device, dtype),
            self.unembedding.to(device, dtype),
            self.logit_bias.to(device, dtype),
            self.norm.to(device, dtype),
            {name: weight.to(device, dtype) for name, weight in self.input_weights.items()},
            None if self.mlp_norm is None else self.mlp_norm.to(device, dtype),
            self.logit_cap,
            self.expert,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays; ``from_arrays`` is the inverse. What the layer lacks has no array."""
        tensors = {
            "output_weight": self.output_weight,
            "unembedding": self.unembedding,
            "logit_bias": self.logit_bias,
        } | {f"input/{name}": weight for name, weight in self.input_weights.items()}
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()} | self.norm.arrays("norm")
        if self.mlp_norm is not None:
            arrays |= self.mlp_norm.arrays("mlp_norm")
        if self.logit_cap is not None:
            arrays["logit_cap"] = np.asarray([self.logit_cap])
        if self.expert is not None:
            arrays["expert"] = self.expert
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LastLayer":
        """The layer that ``arrays`` described."""
        return cls(
            torch.from_numpy(arrays["output_weight"]),
            torch.from_numpy(arrays["unembedding"]),
            torch.from_numpy(arrays["logit_bias"]),
            Norm.from_arrays(arrays, "norm"),
            {
                name.removeprefix("input/"): torch.from_numpy(array)
                for name, array in arrays.items()
                if name.startswith("input/")
            },
            Norm.from_arrays(arrays, "mlp_norm") if "mlp_norm_gain" in arrays else None,
            float(arrays["logit_cap"][0]) if "logit_cap" in arrays else None,
            arrays.get("expert"),
        )
