"""The record of a layer type, with everything that is known of it; `layers/` has one for each type.

Layer and LayerType refer to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .interval import UNKNOWN_INTERVAL, Interval
from .shapes import Shape

if TYPE_CHECKING:
    from .graph import Layer

Count = tuple[int, int | None]  # minimum and maximum; None: no maximum
Infer = Callable[["Layer"], Sequence[Shape]]
ValueRange = Callable[["Layer", Sequence[Interval], int], Interval]  # the layer, the intervals of its bottoms, the index of the top

# What happens if a layer works in place (measured with BVLC's CPU code).
IN_PLACE_RIGHT = "right"
IN_PLACE_FATAL = "fatal"
IN_PLACE_CRASH = "crash"  # in the first pass, without a message
IN_PLACE_WRONG_GRADIENT = "wrong-gradient"
IN_PLACE_WRONG_VALUES = "wrong-values"
IN_PLACE_UNKNOWN = "unknown"

# What a loss compares (LayerType.loss_family).
CLASSIFICATION = "classification"  # scores of classes with labels
REGRESSION = "regression"  # values with target values
EMBEDDING = "embedding"  # vectors with each other
DETECTION = "detection"  # boxes and their classes with those of objects

# Activations that turn scores into probabilities (LayerType.activation, .applies).
SOFTMAX = "softmax"  # along an axis
SIGMOID = "sigmoid"  # element-wise

# Where the values of a layer without bottoms come from (LayerType.origin).
FROM_FILES = "files"
FROM_PROGRAM = "program"  # provided by the program that runs the net
MADE_UP = "made-up"  # from fillers
LEARNED = "learned"  # the layer's own parameters

UNMODELLED = ""  # instead of the name of a signal model

NO_DIALECTS: frozenset[str] = frozenset()
ALL = (-9,)  # instead of indices of bottoms: every bottom


def are_fed(sources: Iterable[LayerType]) -> bool:
    """Whether there are data layers, of these types, and only a program that runs the net fills them."""
    origins = {kind.origin for kind in sources}
    return origins == {FROM_PROGRAM}


class LayerType(NamedTuple):
    """The record of a layer type. Bottoms are listed as indices, -1 for the last one, or as `ALL`.

    `infer` returns the shape of each top and adds the layer's parameters; it reports what Caffe's LayerSetUp and Reshape would
    reject. `counts` returns the numbers of bottoms and tops if they depend on the settings of the layer.
    """

    name: str
    infer: Infer
    source: str = ""  # the file of Caffe, or of the fork, that implements it
    like: str = ""  # the type of our own that a configuration says it is like
    described: bool = True  # False: only the name is known
    bottoms: Count = (1, 1)
    tops: Count = (1, 1)
    fork_bottoms: Count | None = None  # in a file for a fork, instead of `bottoms`
    fork_tops: Count | None = None
    counts: Callable[[Layer], tuple[Count, Count]] | None = None
    same_count: bool = False  # EqualNumBottomTopBlobs
    dialects: frozenset[str] = NO_DIALECTS  # the forks with this meaning of the name; empty: all others

    # its settings
    settings: str = ""  # the `*_param` with its own settings
    reads: tuple[str, ...] | None = None  # every `*_param` that it reads; None: unknown
    opaque: bool = False  # implemented outside of Caffe, in a class that it names

    # losses
    is_loss: bool = False  # its top is a loss
    loss_family: str = ""  # what it compares, one of the constants above; empty: no loss, or unknown
    nonnegative: bool = False  # a loss that is never negative
    squared: bool = False  # its gradient grows with the error, without bound
    log_likelihood: bool = False  # a loss that is the negative log probability of the correct class
    applies: str = ""  # the activation that the loss itself applies to its scores, SOFTMAX or SIGMOID
    applies_since: str = ""  # the Caffe version since which it does; empty: always
    takes_matrix: bool = False  # weighted by an infogain matrix
    class_axis: str | None = None  # the `*_param` with the axis of the classes; empty: axis 1; None: no class labels
    chance: Callable[[int], float] | None = None  # the loss of one item at chance, by the number of classes
    measures: bool = False  # it measures how good scores are; nothing learns from it
    auto_top: bool = False  # AutoTopBlobs: Caffe adds a top if none is written
    loss_weight: float = 0.0  # of the first top, if none is written
    normalization: str = ""  # what a loss is divided by, see `layers.loss`

    # gradients
    refuses_gradient: tuple[int, ...] = ()  # Caffe stops if one of these bottoms needs a gradient
    has_backward: bool = True  # False: Caffe stops if the layer must run backward
    stops_gradient: bool = False  # its tops need no gradient, whatever its bottoms need
    refuses_at: str = ""  # the check at which Caffe stops
    not_forced: tuple[int, ...] = ()  # AllowForceBackward is false
    measures_shape_of: tuple[int, ...] = ()  # of these bottoms only the shape is read

    # memory
    in_place: str | Callable[[Layer], str] = IN_PLACE_UNKNOWN
    reads_top: bool | Callable[[Layer], bool] = False  # its backward pass reads its top, which must not be overwritten
    shares_memory: bool | Callable[[Layer], bool] = False  # its top is the memory of its bottom under another name

    # weights
    weighted_sum: bool = False  # outputs are weighted sums of inputs plus a bias; `settings` has the fillers
    slides: bool = False  # slides a window over its bottom, with the same weights at each position
    reaches: Callable[[Layer], bool] | None = None  # whether a value also depends on others around it in the image; None: no
    channel_params: bool = False  # its parameters are a scale or bias for each channel, not weights
    stores_statistics: bool = False  # all its parameters are statistics, which no solver updates

    # effect on values
    keeps_shape: bool = False  # its first top has the shape of its first bottom
    keeps_channels: bool = False  # its first top has as many channels as its first bottom
    rearranges: bool = False  # its tops hold values of its bottoms, in another shape or order
    joins: bool = False  # its top has all its bottoms, one after the other along an axis
    selects: bool = False  # a top is only a part of the bottom
    copies: bool = False  # each top is its bottom, unchanged
    combines: bool = False  # adds, multiplies or compares its bottoms element-wise
    multiplies: Callable[[Layer], bool] | None = None  # whether its settings make it multiply its bottoms
    linear: bool = False  # scales and shifts each value
    factor: Callable[[Layer], float | None] | None = None  # by what it multiplies all values; None: not a single number
    takes_absolute: bool = False  # computes absolute values, whose gradient is a sign
    keeps_scale: bool = False  # its outputs are about as large as its inputs
    keeps_range: bool = False  # its outputs lie within the range of its inputs
    keeps_order: bool = False  # larger values stay larger: a rectifier after it cuts what it would cut before it
    rectifies: bool = False  # a ReLU or a variant: zeros or shrinks negative values, and keeps the others
    cuts: bool | Callable[[Layer], bool] = False  # sets all negative values to 0
    activation: str = ""  # SOFTMAX or SIGMOID for the layer of that activation
    unsaturated: tuple[float, float] | None = None  # the range of the mean |x| of its top outside which most of it is saturated
    trains_only: bool = False  # changes values in training only
    by_channel: bool | Callable[[Layer], bool] = False  # treats equal channels differently: at random, by place or weights
    discards: bool = False  # reads blobs only so that they are not outputs of the net
    value_range: ValueRange | None = None  # the interval of its outputs, given those of its bottoms
    growth: Callable[[Layer], float | None] | None = None  # number of elements out over in, by its settings alone
    hazard: tuple[str, str] | None = None  # why finite values can give NaN or infinity: the name of the cause, and an explanation

    # data
    origin: str = ""  # where its values come from, one of the constants above
    images: bool = False  # its first top holds images of bytes
    transforms: bool = False  # applies transform_param

    # other traits
    engine: str = ""  # the `*_param` with its `engine`, if Caffe can use cuDNN for it
    is_data: bool = False  # the shapes of its tops may depend on data
    open_params: bool | Callable[[Layer], bool] = False  # it may have unknown parameters
    fork_fields: frozenset[str] | None = frozenset()  # fields of forks that do not change shapes, or are handled; None: all
    normalises: bool = False  # its outputs have a fixed scale, whatever its inputs
    bounded: bool = False  # its outputs lie in a fixed range
    nonlinear: bool = False  # applies an element-wise nonlinearity
    recurrent: bool = False
    upsampling: bool = False
    multiply_adds: Callable[[Layer], int | None] | None = None  # in one forward pass; None: unknown
    signal: str | Callable[[Layer], str] = UNMODELLED  # see `signal_model`
    simulate: str = ""  # the class of `simulation.operators` that computes it on arrays, as `module.Class`; empty: none does
    plugin: str = ""  # the plugin that defines it; empty: built in

    def in_place_effect(self, layer: Layer) -> str:
        """What happens if the layer works in place, one of the IN_PLACE constants."""
        return self.in_place(layer) if callable(self.in_place) else self.in_place

    def needs_its_top(self, layer: Layer) -> bool:
        """Whether the backward pass reads the top, so that a later layer in place on it gives a wrong gradient."""
        return self.reads_top(layer) if callable(self.reads_top) else self.reads_top

    def is_alias(self, layer: Layer) -> bool:
        """Whether the layer's top is the memory of its bottom under another name."""
        return self.shares_memory(layer) if callable(self.shares_memory) else self.shares_memory

    def cuts_negatives(self, layer: Layer) -> bool:
        """Whether the layer sets all negative values to 0."""
        return self.cuts(layer) if callable(self.cuts) else self.cuts

    def distinguishes(self, layer: Layer) -> bool:
        """Whether the layer treats channels with equal values differently, in the net's phase."""
        return self.by_channel(layer) if callable(self.by_channel) else self.by_channel

    def is_product(self, layer: Layer) -> bool:
        """Whether the layer multiplies its bottoms with each other."""
        return self.multiplies is not None and self.multiplies(layer)

    def range_of(self, layer: Layer, bottoms: Sequence[Interval], top: int = 0) -> Interval:
        """The interval of the values of a top, given the intervals of the bottoms."""
        if self.value_range is None or (not bottoms and self.bottoms[0] > 0):
            return UNKNOWN_INTERVAL
        return self.value_range(layer, bottoms, top)

    @property
    def base(self) -> str:
        """The type that it behaves as: of our own types it is itself."""
        return self.like or self.name

    @property
    def scales_channels(self) -> bool:
        """Whether all it does is scale or shift each channel by its own parameters."""
        return self.linear and self.channel_params

    @property
    def makes_features(self) -> bool:
        """Whether it computes weighted sums, is an activation, normalises or only passes values on: no place for a loss weight."""
        return self.weighted_sum or self.nonlinear or self.normalises or (self.keeps_order and not self.is_affine)

    @property
    def is_affine(self) -> bool:
        """Whether a scale and shift before or after it can be merged into its parameters."""
        return self.weighted_sum or self.scales_channels

    @property
    def wants_probabilities(self) -> bool:
        """Whether it is a loss that takes the logarithm of its input."""
        return self.log_likelihood and not self.applies

    def signal_model(self, layer: Layer) -> str:
        """The class of `layers.models` that computes the layer's signal, as `module.Class`, or UNMODELLED."""
        return self.signal(layer) if callable(self.signal) else self.signal

    def has_open_params(self, layer: Layer) -> bool:
        """Whether the layer may have unknown parameters."""
        return self.open_params(layer) if callable(self.open_params) else self.open_params

    def has_foreign_fields(self, layer: Layer) -> bool:
        """Whether the layer has a field of a fork whose effect on shapes is unknown."""
        if self.fork_fields is None:
            return False
        own = layer.message.type.of_forks  # a type of the fork itself
        for name, entries in layer.message.entries.items():
            param = entries[0][0]
            if isinstance(param, (str, float, int)) or name in _WITHOUT_SHAPES or name in own:
                continue
            of_forks = param.type.of_forks
            if not of_forks.isdisjoint(param.entries) and not of_forks.intersection(param.entries) <= self.fork_fields:
                return True
        return False


# Sub-messages that do not affect the shapes of layers other than data layers.
_WITHOUT_SHAPES = frozenset({"param", "include", "exclude", "blobs", "loss_param", "transform_param"})


def is_in(index: int, bottoms: tuple[int, ...], total: int) -> bool:
    """Whether a bottom is in a list of bottoms of a LayerType, given their total number."""
    return bottoms == ALL or index in bottoms or (index - total) in bottoms


def _no_shapes(layer: Layer) -> Sequence[Shape]:
    return ()


UNKNOWN_TYPE = LayerType("", _no_shapes)  # the record for a type without one
