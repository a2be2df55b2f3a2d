"""Layers as a graph runs them fastest: the same weights and states, the same sums otherwise."""

from __future__ import annotations

import copy

from torch import Tensor
from torch.nn import functional

from audiodec.nn.layers import CausalConvTranspose1d, DepthwiseFilter
from audiodec.nn.network import Network


class GraphConvTranspose1d(CausalConvTranspose1d):
    """Upsampling as one convolution to `stride` times as many channels, which then become samples
    (Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016). Runtimes
    read its weights fastest, and with channels last nothing moves."""

    def upsample(self, x: Tensor) -> Tensor:
        inputs, outputs, kernel = self.conv.weight.shape
        # Tap k of a transposed kernel is sample k % stride of the input k // stride steps ago. A
        # convolution has the newest input last, hence the flip; channels are samples x outputs.
        taps = functional.pad(self.conv.weight, (0, (self.past + 1) * self.stride - kernel))
        taps = taps.reshape(inputs, outputs, self.past + 1, self.stride).flip(2)
        weight = taps.permute(3, 1, 0, 2).reshape(-1, inputs, 1, self.past + 1)
        bias = None if self.bias is None else self.bias[:, 0].repeat(self.stride)
        y = functional.conv2d(x.unsqueeze(2), weight, bias).permute(0, 2, 3, 1)
        return y.reshape(y.shape[0], 1, -1, outputs).permute(0, 3, 1, 2).squeeze(2)


class GraphDepthwiseFilter(DepthwiseFilter):
    """One convolution over an image of batch x frames: every operation of a graph costs some
    microseconds."""

    def filter(self, x: Tensor, weight: Tensor) -> Tensor:
        y = functional.conv2d(
            x[None].movedim(-1, 1), weight.t()[:, None, None],
            dilation=(1, self.dilation), groups=weight.shape[1],
        )  # fmt: skip
        return y.movedim(1, -1).squeeze(0)


FORMS: dict[type, type] = {
    CausalConvTranspose1d: GraphConvTranspose1d,
    DepthwiseFilter: GraphDepthwiseFilter,
}


def for_graphs(network: Network) -> Network:
    """Copy a network, its layers replaced by the ones above. Names of weights and states stay."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if type(layer) in FORMS:
            layer.__class__ = FORMS[type(layer)]
    return copied
