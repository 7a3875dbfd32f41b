"""What is known of a layer type: the fields of its record, which `layers/` fills.

A layer and its type name each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .interval import UNKNOWN_INTERVAL, Interval
from .shapes import Shape

if TYPE_CHECKING:
    from .graph import Layer

Count = tuple[int, int | None]  # least and most; None: no limit
Infer = Callable[["Layer"], Sequence[Shape]]
ValueRange = Callable[["Layer", Sequence[Interval], int], Interval]  # layer, its bottoms' intervals, index of the top

# What a layer does when its top is its bottom (facts measured on BVLC's CPU code).
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

# What makes probabilities of scores (LayerType.activation, .applies).
SOFTMAX = "softmax"  # along an axis
SIGMOID = "sigmoid"  # of each by itself

# Where the values of a layer without bottoms come from (LayerType.origin).
FROM_FILES = "files"
FROM_PROGRAM = "program"  # handed over by the program that runs the net
MADE_UP = "made-up"  # by fillers
LEARNED = "learned"  # its own parameters

UNMODELLED = ""  # in place of the name of a signal model

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
    like: str = ""  # the type of our own that a configuration says it is like
    described: bool = True  # False: nothing but the name is known
    bottoms: Count = (1, 1)
    tops: Count = (1, 1)
    fork_bottoms: Count | None = None  # what some forks take instead
    fork_tops: Count | None = None
    counts: Callable[[Layer], tuple[Count, Count]] | None = None
    same_count: bool = False  # EqualNumBottomTopBlobs
    dialects: frozenset[str] = (
        NO_DIALECTS  # where the type means this, if it has several meanings; empty: elsewhere
    )

    # its settings
    settings: str = ""  # the `*_param` that is the type's own
    reads: tuple[str, ...] | None = None  # every `*_param` of LayerParameter that it reads; None: not known
    opaque: bool = False  # what it does is written outside of Caffe, in the class that it names

    # losses
    is_loss: bool = False  # its top is a loss by its meaning
    loss_family: str = ""  # what it compares, one of the constants above; empty for no loss, or where it is not known
    nonnegative: bool = False  # a loss that cannot be below 0
    squared: bool = False  # its gradient grows with the distance, without bound
    log_likelihood: bool = False  # it is minus the logarithm of the right class's probability
    applies: str = ""  # the activation that it applies to its scores by itself, SOFTMAX or SIGMOID
    applies_since: str = ""  # from which Caffe on; empty: always
    takes_matrix: bool = False  # it weighs by an infogain matrix
    class_axis: str | None = None  # the `*_param` with the axis of its classes; empty: axis 1; None: takes no class labels
    chance: Callable[[int], float] | None = None  # the loss of one item, of so many classes, by chance
    measures: bool = False  # it measures how good scores are; nothing learns from it
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

    # weights
    weighted_sum: bool = False  # each output is a sum of inputs times weights plus a bias, whose fillers `settings` has
    slides: bool = False  # it moves a window over its bottom, so that each place has the same weights
    channel_params: bool = False  # its parameters are a factor or summand of each channel, not weights
    stores_statistics: bool = False  # all its parameters are statistics, which no solver learns

    # what it does to values
    keeps_shape: bool = False  # its first top has the shape of its first bottom
    keeps_channels: bool = False  # its first top has as many channels as its first bottom
    rearranges: bool = False  # each value of its tops is one of its bottoms', under another shape or at another place
    joins: bool = False  # its top has all its bottoms, one after the other along an axis
    selects: bool = False  # a top has only part of the bottom
    copies: bool = False  # each top is its bottom, unchanged
    combines: bool = False  # adds, multiplies or compares its bottoms element by element
    multiplies: Callable[[Layer], bool] | None = None  # whether its settings make it a product of its bottoms
    linear: bool = False  # a factor and a summand for each value
    factor: Callable[[Layer], float | None] | None = None  # by what it multiplies all values; None: not by one number
    takes_absolute: bool = False  # it makes absolute values, whose gradient is a sign
    keeps_scale: bool = False  # its values are about as large as those it reads
    keeps_range: bool = False  # its values lie between the bounds of those it reads
    keeps_order: bool = False  # larger values stay larger: a rectifier after it cuts what it would cut before it
    rectifies: bool = False  # it cuts or shrinks values below 0, and leaves the others
    cuts: bool | Callable[[Layer], bool] = False  # it makes 0 of all values below 0
    activation: str = ""  # SOFTMAX or SIGMOID, where it is the layer of that activation
    unsaturated: tuple[float, float] | None = None  # the mean |x| of its top beyond which most of it is saturated
    trains_only: bool = False  # it changes values in training only
    discards: bool = False  # it reads blobs only so that they are no outputs of the net
    value_range: ValueRange | None = None  # between which bounds its values lie, by those of its bottoms
    growth: Callable[[Layer], float | None] | None = None  # how many times the elements it makes, by its settings alone
    hazard: tuple[str, str] | None = None  # why finite values can give NaN or infinity: the name of the cause, and an explanation

    # data
    origin: str = ""  # where the values come from, one of the constants above
    images: bool = False  # its first top are images of bytes
    transforms: bool = False  # it applies transform_param

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
    signal: str | Callable[[Layer], str] = UNMODELLED  # see `signal_model`
    plugin: str = ""  # the one that brought it; empty for a type of our own

    def in_place_effect(self, layer: Layer) -> str:
        """What happens if the layer works in place, one of the IN_PLACE constants."""
        return self.in_place(layer) if callable(self.in_place) else self.in_place

    def needs_its_top(self, layer: Layer) -> bool:
        """Whether the layer's backward pass reads its top: a layer in place on that spoils the gradient."""
        return self.reads_top(layer) if callable(self.reads_top) else self.reads_top

    def is_alias(self, layer: Layer) -> bool:
        """Whether the layer's top is its bottom's memory under another name."""
        return self.shares_memory(layer) if callable(self.shares_memory) else self.shares_memory

    def cuts_negatives(self, layer: Layer) -> bool:
        """Whether the layer makes 0 of all values below 0."""
        return self.cuts(layer) if callable(self.cuts) else self.cuts

    def is_product(self, layer: Layer) -> bool:
        """Whether the layer multiplies its bottoms with each other."""
        return self.multiplies is not None and self.multiplies(layer)

    def range_of(self, layer: Layer, bottoms: Sequence[Interval], top: int = 0) -> Interval:
        """Between which bounds the values of a top lie, if those of the bottoms lie in `bottoms`."""
        if self.value_range is None or (not bottoms and self.bottoms[0] > 0):
            return UNKNOWN_INTERVAL
        return self.value_range(layer, bottoms, top)

    @property
    def base(self) -> str:
        """The type that it behaves as: of our own types it is itself."""
        return self.like or self.name

    @property
    def scales_channels(self) -> bool:
        """Whether it has a factor or summand of its own for each channel, and does nothing else."""
        return self.linear and self.channel_params

    @property
    def is_affine(self) -> bool:
        """Whether a scale and shift before or after it can become part of its own parameters."""
        return self.weighted_sum or self.scales_channels

    @property
    def wants_probabilities(self) -> bool:
        """Whether it is a loss that takes the logarithm of what it reads."""
        return self.log_likelihood and not self.applies

    def signal_model(self, layer: Layer) -> str:
        """Which class of `layers.models` computes the layer's signal, as `module.Class`; UNMODELLED if none does."""
        return self.signal(layer) if callable(self.signal) else self.signal

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


def _no_shapes(layer: Layer) -> Sequence[Shape]:
    return ()


UNKNOWN_TYPE = LayerType("", _no_shapes)  # all that is known of a type that nobody described
