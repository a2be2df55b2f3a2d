"""Streaming equals offline for every layer, any chunking, any batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiodec.export.layers import for_graphs
from audiodec.nn.layers import CausalConv1d, CausalConvTranspose1d, DepthwiseFilter
from audiodec.nn.streaming import Causal, Chain, Pointwise, Residual

chunkings = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def stream(module: Causal, x: torch.Tensor, sizes: list[int], dim: int) -> torch.Tensor:
    state, pieces = module.initial_state(x.shape[0]), []
    for piece in x.split(sizes, dim):
        y, state = module.step(piece, state)
        pieces.append(y)
    return torch.cat(pieces, dim)


@given(
    chunkings,
    st.integers(1, 3),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
)
def test_convolution(
    chunks: list[int], batch: int, kernel: int, stride: int, dilation: int, bias: bool
) -> None:
    if (kernel - 1) * dilation + 1 < stride:
        with pytest.raises(ValueError, match="stride"):
            CausalConv1d(2, 4, kernel, stride=stride, dilation=dilation)
        return
    layer = CausalConv1d(2, 4, kernel, stride=stride, dilation=dilation, groups=2, bias=bias)
    x = torch.randn(batch, 2, sum(chunks) * stride)
    offline = layer(x)
    assert offline.shape == (batch, 4, sum(chunks))
    torch.testing.assert_close(
        stream(layer, x, [c * stride for c in chunks], 2), offline, atol=1e-5, rtol=0
    )


@given(chunkings, st.integers(2, 5))
def test_delayed_convolution(chunks: list[int], stride: int) -> None:
    """The published alignment: every output is the plain one of an input that came later."""
    plain = CausalConv1d(2, 4, 2 * stride, stride=stride)
    delayed = CausalConv1d(2, 4, 2 * stride, stride=stride, delay=stride - 1)
    delayed.load_state_dict(plain.state_dict())
    x = torch.randn(2, 2, sum(chunks) * stride)
    offline = delayed(x)
    late = torch.nn.functional.pad(x, (stride - 1, 0))[..., : x.shape[-1]]
    torch.testing.assert_close(offline, plain(late), atol=1e-5, rtol=0)
    sizes = [c * stride for c in chunks]
    torch.testing.assert_close(stream(delayed, x, sizes, 2), offline, atol=1e-5, rtol=0)


def test_convolution_sees_no_future_and_all_of_the_present() -> None:
    layer = CausalConv1d(1, 1, 4, stride=2)
    x = torch.zeros(1, 1, 8, requires_grad=True)
    layer(x)[0, 0, 1].backward()
    assert x.grad is not None
    assert (x.grad[0, 0] != 0).tolist() == [True] * 4 + [False] * 4


@given(chunkings, st.integers(1, 3), st.integers(1, 8), st.integers(1, 4), st.booleans())
def test_transposed_convolution(
    chunks: list[int], batch: int, kernel: int, stride: int, bias: bool
) -> None:
    if kernel < stride:
        with pytest.raises(ValueError, match="kernel"):
            CausalConvTranspose1d(2, 3, kernel, stride=stride)
        return
    layer = CausalConvTranspose1d(2, 3, kernel, stride=stride, bias=bias)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(batch, 2, sum(chunks))
    offline = layer(x)
    assert offline.shape == (batch, 3, sum(chunks) * stride)
    expected = layer.conv(x)[..., : offline.shape[-1]]
    expected = expected if layer.bias is None else expected + layer.bias
    torch.testing.assert_close(offline, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(stream(layer, x, chunks, 2), offline, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kernel", "stride", "bias"), [(10, 5, True), (7, 3, False), (3, 3, True)])
def test_an_exported_transposed_convolution_is_the_same(
    kernel: int, stride: int, bias: bool
) -> None:
    layer = CausalConvTranspose1d(4, 3, kernel, stride=stride, bias=bias)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 6)
    exported = torch.export.export(for_graphs(layer), (x,))
    targets = {str(node.target) for node in exported.graph.nodes}
    assert "aten.conv2d.default" in targets
    assert not [target for target in targets if "transpose" in target and "conv" in target]
    torch.testing.assert_close(exported.module()(x), layer(x), atol=1e-5, rtol=0)


@given(chunkings, st.integers(1, 3), st.integers(1, 6), st.integers(1, 4))
def test_depthwise_filter(chunks: list[int], batch: int, kernel: int, dilation: int) -> None:
    layer = DepthwiseFilter(3, kernel, dilation)
    x = torch.randn(batch, sum(chunks), 3)
    offline = layer(x)
    padded = torch.nn.functional.pad(x.transpose(1, 2), (layer.past, 0))
    weight = layer.weight.t()[:, None]
    expected = torch.nn.functional.conv1d(padded, weight, dilation=dilation, groups=3)
    torch.testing.assert_close(offline, expected.transpose(1, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(stream(layer, x, chunks, 1), offline, atol=1e-5, rtol=0)


@given(chunkings)
def test_streams_in_a_batch_are_independent(chunks: list[int]) -> None:
    """One stream reset in the middle of a batch leaves the others untouched."""
    net = Chain(
        Residual(Chain(CausalConv1d(2, 2, 3), Pointwise(torch.nn.ELU()))),
        CausalConvTranspose1d(2, 2, 4, stride=2),
    )
    x = torch.randn(3, 2, 2 * sum(chunks))
    half = sum(chunks)
    _, state = net.step(x[..., :half], net.initial_state(3))
    fresh, reset = net.initial_state(3), torch.tensor([False, True, False])
    state = {
        key: torch.where(reset.view(-1, *[1] * (value.dim() - 1)), fresh[key], value)
        for key, value in state.items()
    }
    y, _ = net.step(x[..., half:], state)
    torch.testing.assert_close(y[[0, 2]], net(x)[[0, 2], :, 2 * half :], atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1], net(x[1:2, :, half:])[0], atol=1e-5, rtol=0)
