"""What is known of a layer type: the fields of its record, which `layers/` fills.

A layer and its type name each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..proto.named_tuple import NamedTuple
from .shapes import Shape

if TYPE_CHECKING:
    from .graph import Layer

Count = tuple[int, int | None]  # least and most; None: no limit
Infer = Callable[["Layer"], Sequence[Shape]]

# What a layer does when its top is its bottom (facts measured on BVLC's CPU code).
IN_PLACE_RIGHT = "right"
IN_PLACE_FATAL = "fatal"
IN_PLACE_CRASH = "crash"  # in the first pass, without a message
IN_PLACE_WRONG_GRADIENT = "wrong-gradient"
IN_PLACE_WRONG_VALUES = "wrong-values"
IN_PLACE_UNKNOWN = "unknown"

NO_DIALECTS: frozenset[str] = frozenset()
ALL = (-9,)  # in place of bottom indices: every bottom


class LayerType(NamedTuple):
    """A layer type, described once. Lists of bottoms are indices, -1 the last, `ALL` every one.

    `infer` gives the shape of each top and adds the layer's parameters; it reports what Caffe's
    LayerSetUp and Reshape would refuse. `counts` gives the numbers of bottoms and tops where they depend
    on the layer's fields.
    """

    name: str
    infer: Infer
    source: str = ""  # Caffe's file that has it
    bottoms: Count = (1, 1)
    tops: Count = (1, 1)
    fork_bottoms: Count | None = None  # what some forks take instead
    fork_tops: Count | None = None
    counts: Callable[[Layer], tuple[Count, Count]] | None = None
    same_count: bool = False  # EqualNumBottomTopBlobs
    dialects: frozenset[str] = (
        NO_DIALECTS  # where the type means this, if it has several meanings; empty: elsewhere
    )

    # losses
    is_loss: bool = False  # its top is a loss by its meaning
    auto_top: bool = False  # AutoTopBlobs: a top is made where none is written
    loss_weight: float = 0.0  # of the first top, where none is written
    normalization: str = ""  # what a loss is divided by: see `loss_normalization`

    # gradients
    refuses_gradient: tuple[int, ...] = ()  # Caffe stops when one of these bottoms is to get a gradient
    ignores_gradient: tuple[int, ...] = ()  # these get none, silently
    has_backward: bool = True  # False: Caffe stops when the layer is to run backward at all
    stops_gradient: bool = False  # its tops need none, whatever its bottoms do
    refuses_at: str = ""  # the check that stops it
    not_forced: tuple[int, ...] = ()  # AllowForceBackward is false

    # memory
    in_place: str | Callable[[Layer], str] = IN_PLACE_UNKNOWN
    reads_top: bool | Callable[[Layer], bool] = (
        False  # backward needs its own output, so none may overwrite it
    )
    shares_memory: bool | Callable[[Layer], bool] = False  # top is the bottom's memory under another name

    # what the rules ask for
    engine: str = ""  # its settings that have an `engine`, where Caffe can choose cuDNN for it
    is_data: bool = False  # the shape of its tops may come from the data
    open_params: bool | Callable[[Layer], bool] = False  # it may have parameters we do not know
    fork_fields: frozenset[str] | None = frozenset()  # known not to change shapes, or heeded; None: all
    normalises: bool = False  # brings its values to a fixed size whatever comes in
    bounded: bool = False  # its values lie in a fixed range
    nonlinear: bool = False  # applies a nonlinearity to each element
    recurrent: bool = False
    upsampling: bool = False
    multiply_adds: Callable[[Layer], int | None] | None = None  # of one forward pass
    signal: Callable[..., Any] | None = None  # how it passes on mean and variance

    def in_place_effect(self, layer: Layer) -> str:
        """What happens if the layer works in place, one of the IN_PLACE constants."""
        return self.in_place(layer) if callable(self.in_place) else self.in_place

    def needs_its_top(self, layer: Layer) -> bool:
        """Whether the layer's backward pass reads its top: a layer in place on that spoils the gradient."""
        return self.reads_top(layer) if callable(self.reads_top) else self.reads_top

    def is_alias(self, layer: Layer) -> bool:
        """Whether the layer's top is its bottom's memory under another name."""
        return self.shares_memory(layer) if callable(self.shares_memory) else self.shares_memory

    def has_open_params(self, layer: Layer) -> bool:
        """Whether the layer may have parameters we do not know."""
        return self.open_params(layer) if callable(self.open_params) else self.open_params

    def has_foreign_fields(self, layer: Layer) -> bool:
        """Whether the layer has a fork's field of which we do not know what it does to shapes."""
        if self.fork_fields is None:
            return False
        for name, entries in layer.message.entries.items():
            param = entries[0][0]
            if name in _WITHOUT_SHAPES or isinstance(param, (str, float, int)):
                continue
            fields = param.type.fields
            if layer.message.type.fields[name].dialects:
                continue  # the type is a fork's own
            if any(fields[written].dialects and written not in self.fork_fields for written in param.entries):
                return True
        return False


# Sub-messages that say nothing about the shapes of a layer that computes.
_WITHOUT_SHAPES = frozenset({"param", "include", "exclude", "blobs", "loss_param", "transform_param"})


def is_in(index: int, bottoms: tuple[int, ...], total: int) -> bool:
    """Whether a bottom is one of a LayerType's list of bottoms."""
    return bottoms == ALL or index in bottoms or (index - total) in bottoms
