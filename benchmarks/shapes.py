"""Array types and the one legend of axis names for the whole project. Light: it loads neither torch nor transformers.

Shapes are written as jaxtyping does, ``Float[Tensor, "b l d"]``, and are checked in every test (``tests/conftest.py``).
A module that must import in an instant takes ``Tensor`` from here; one that computes imports it from torch.

==== ==============================================================
axis what it counts
==== ==============================================================
b    rows of a batch
l    positions of a sequence or grid, the prefix included
c    cells of a grid: the positions without the prefix
d    width of a hidden state
dz   width of the latent z: d, or n d where each of n updates has a latent of its own
h    heads of attention
e    numbers of one head
i o  numbers that go into and come out of a linear map
w    numbers of a puzzle's vector
v    symbols of a vocabulary
s    steps: supervision steps, or steps of refining a token
n    length of a list that belongs to one row (a permutation, a sample)
k    keys that a query may see, or trajectories of one problem
p    problems of an evaluation, or puzzles with a vector
==== ==============================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Bool, Float, Int, Shaped

if TYPE_CHECKING:
    from torch import Generator, Tensor
else:
    Tensor = Any  # jaxtyping then checks dtype and shape of whatever array comes
    Generator = Any

__all__ = ["Bool", "Float", "Generator", "Int", "Shaped", "Tensor"]
