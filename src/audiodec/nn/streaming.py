"""State in, state out: the one way everything in this project runs over time.

`step(x, state) -> (y, state)` is the only computation. Offline is one long step from the
initial state, so streaming equals offline for any chunking, by construction. State is a flat
dict of tensors with the batch as dimension 0; it is passed and returned, never kept in a
module, so many independent streams are one batch and ONNX export sees the same `step`.
"""

from __future__ import annotations

from torch import Tensor, nn

State = dict[str, Tensor]


class Causal(nn.Module):
    """A causal map over time. The base class is stateless."""

    def initial_state(self, batch: int) -> State:
        """Make the state before the first sample of `batch` streams; every tensor [batch, ...]."""
        return {}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Process the next stretch of every stream.

        Args:
            x: the new input; [batch, ...].
            state: what `initial_state` or the previous `step` gave.

        Returns:
            the output for exactly this stretch, and the state to pass next.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Run offline: one step from the initial state."""
        return self.step(x, self.initial_state(x.shape[0]))[0]


class Pointwise(Causal):
    """A module without memory over time, e.g. an activation or a per-frame linear map."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.module(x), {}


class Chain(Causal):
    """Causal modules one after another. State keys are `<index>.<key>`."""

    def __init__(self, *modules: Causal) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def initial_state(self, batch: int) -> State:
        state: State = {}
        for i, part in enumerate(self.parts):
            assert isinstance(part, Causal)
            state |= nest(str(i), part.initial_state(batch))
        return state

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        after: State = {}
        for i, part in enumerate(self.parts):
            assert isinstance(part, Causal)
            x, new = part.step(x, select(str(i), state))
            after |= nest(str(i), new)
        return x, after


class Residual(Causal):
    """A part with a way around it: x + inner(x)."""

    def __init__(self, inner: Causal) -> None:
        super().__init__()
        self.inner = inner

    def initial_state(self, batch: int) -> State:
        return self.inner.initial_state(batch)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.inner.step(x, state)
        return x + y, state


def nest(name: str, state: State) -> State:
    """Put the state of a part under the part's name."""
    return {f"{name}.{key}": value for key, value in state.items()}


def select(name: str, state: State) -> State:
    """Take the state of the part called `name`: the inverse of `nest`."""
    prefix = name + "."
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
