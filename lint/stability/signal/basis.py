"""What a predicted signal rests on: the data, the initial weights, the layers, the solver; and what of it is not known.

Data that the files do not describe lie in a range, and the signal is computed at several points of it (`training.points`).
Where anything else is unknown, nothing is computed: `CannotTell` says why, and what would settle it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ...layers.custom import name_in_configuration
from ...layers.fillers import FILLER_TYPES
from ...layers.models.data_models import BYTES, KNOWN, LABELS, UNKNOWN_IMAGES, UNKNOWN_VALUES, data_kind
from ...layers.normalisation import uses_stored_statistics
from ...layers.record import TYPES
from ...moments.layer_type import UNMODELLED
from ...net.data_facts import tops_facts
from ...net.domain_faults import domain_faults
from ...net.loss_sizes import maximised_losses
from ...net.scores import scores_as_probabilities
from ...net.trained_weights import copied
from ...net.weights_origin import LOADED
from ...net.zero_weights import starts_at_zero, upsamples, weights_of, zero_weights_before_others
from ...proto.named_tuple import NamedTuple
from ...solver.schedule import learning_rate
from ...solver.solver_types import LAYER_WISE_RATES
from ...source.wording import counted
from .passes import needed_layers, unmodelled_layers

if TYPE_CHECKING:
    from ...moments.graph import Blob, Layer, Loss, Param
    from ...net.net import Net
    from ...net.trained_weights import TrainedWeights
    from ...net.weights_origin import WeightsOrigin
    from ...proto.binder import Message

BOUNDED, UNKNOWN, ZERO = "bounded", "unknown", "zero"

SOLVERS = frozenset({"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"})
# Settings of forks that change the size of steps in a way that is not modelled, with what each of them does.
_STEPS_OF_FORKS = {
    **{name: f"{method} sets the learning rate of each layer" for name, method in LAYER_WISE_RATES.items()},
    "clip_weights": "weights are clipped",
    "lookahead": "the weights follow a second, slower optimizer",
    "amsgrad": "Adam is the variant AMSGrad",
    "adabelief": "Adam is the variant AdaBelief",
}
_POLICIES_OF_FORKS = ("momentum_policy", "weight_decay_policy")  # "fixed" is what BVLC's Caffe does

DESCRIBE_DATA = "where the data are, run caffe-lint inputs with --write-facts, then pass the file with --data-facts"
GIVE_SHAPE = "pass --input-shape, or facts about the data with --data-facts"
OVER_BUDGET = "over budget"  # the cause, where a simulation takes too much work
_STATE_WEIGHTS = "pass --from-scratch if fillers make them, or --weights FILE to read them"
_ASSUMED = {
    BYTES: "8-bit images",
    UNKNOWN_IMAGES: "values of magnitude 1 up to 8-bit pixels",
    UNKNOWN_VALUES: "values of magnitude 1 or more",
}


class CannotTell(NamedTuple):
    """Why nothing can be told of a training, and what would settle it.

    `cause` is a key for programs, `reason` a clause, `remedy` an imperative clause.
    """

    cause: str
    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The reason and the remedy as a sentence."""
        return f"Cannot tell: {self.reason}. To settle it, {self.remedy}."


NO_GRADIENT = CannotTell(
    "no gradient",
    "no gradient reaches a parameter that learns",
    "look for lr_mult 0, zero weights, and Deconvolution layers that interpolate without a group",
)


class Basis(NamedTuple):
    """What the signal of a training rests on.

    `data` is KNOWN, BOUNDED (8-bit images) or UNKNOWN, `weights` KNOWN, LOADED, UNKNOWN or ZERO. `unmodelled` are the layers
    on the way to a loss without a signal model, `shapeless` the layers on it of unknown shapes, `features` what
    is not modelled of the solver, as clauses. `zero` are weights that start at 0 and let nothing pass, `of_scores` losses that
    read scores as probabilities, `faults` what layers outside their domain do, as clauses, `maximised` losses with a negative
    weight. `open_tops` hold images of unknown size, `matrices` are losses whose infogain matrix is in a file. `assumed` are the
    noun phrases of the line `Assumed`.
    """

    data: str
    weights: str
    unmodelled: tuple[Layer, ...]
    shapeless: tuple[Layer, ...]
    features: tuple[str, ...]
    zero: tuple[Param, ...]
    of_scores: tuple[Layer, ...]
    faults: tuple[str, ...]
    maximised: tuple[Loss, ...]
    open_tops: tuple[str, ...]
    matrices: tuple[Layer, ...]
    assumed: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether everything is known, so that there is a single signal."""
        return self.data == KNOWN and not self.open_tops and not self.matrices


def basis_of(solver: Message, net: Net, origin: WeightsOrigin, open_tops: Mapping[str, str]) -> Basis:
    """What the signal of a training net rests on.

    It is built with images of some shape in `open_tops`, which says what is assumed of it.
    """
    kinds = dict(_data_kinds(net))
    found = set(kinds.values())
    matrices = tuple(layer for layer in net.layers if layer.traits.takes_matrix and len(layer.bottoms) < 3)
    data = UNKNOWN if found - {KNOWN, LABELS, BYTES} else BOUNDED if BYTES in found else KNOWN
    zero = _zero_weights(net, origin.trained) if origin.is_known else ()
    sizes = [f"'{name}': {what}" for name, what in open_tops.items()]
    values = [f"'{top.name}': {_ASSUMED[kind]}" for top, kind in kinds.items() if kind in _ASSUMED]
    values += [f"the matrix of '{layer.name}': diagonal, with class weights of 0.1 to 10" for layer in matrices]
    return Basis(
        data,
        ZERO if zero else KNOWN if origin.is_known else LOADED if origin.kind == LOADED else UNKNOWN,
        (*unmodelled_layers(net), *_with_loaded_statistics(net, origin)),
        tuple(layer for layer in net.layers if layer.runs_backward and _has_unknown_shape(layer)),
        tuple(features_not_modelled(solver, net)),
        zero,
        tuple(layer for layer in net.layers if layer.runs_backward and scores_as_probabilities(layer) is not None),
        tuple(f"{layer.type} '{layer.name}' {fault.what}" for layer, fault in domain_faults(net) if layer.runs_backward),
        tuple(maximised_losses(net)),
        tuple(open_tops),
        matrices,
        (*values, *sizes, *origin.assumed),
    )


def _data_kinds(net: Net) -> Iterator[tuple[Blob, str]]:
    """The tops of the data layers that something reads, and what is known of each."""
    for layer in net.layers:
        if layer.traits.is_data and not layer.bottoms:
            facts = tops_facts(layer, net.built_with.facts)
            for index, top in enumerate(layer.tops):
                if top.consumers:
                    yield top, data_kind(layer, index, facts[index])


def _has_unknown_shape(layer: Layer) -> bool:
    """Whether the shape of what a layer reads, learns or makes is unknown; labels apart, which are as many as the scores."""
    shapes = [blob.shape for blob in (*layer.bottoms[:1], *layer.tops)]
    return any(param.count is None for param in layer.params) or any(shape is None or None in shape for shape in shapes)


def _zero_weights(net: Net, trained: TrainedWeights | None) -> tuple[Param, ...]:
    """Weights that start at 0 and let nothing pass; those of upsampling, too, although a program may write them."""
    upsampling = [param for param in weights_of(net, idle=True) if starts_at_zero(param) and upsamples(param.layer)]
    loaded = copied(net, trained) if trained is not None else {}
    return tuple(param for param in (*zero_weights_before_others(net), *upsampling) if param not in loaded)


def features_not_modelled(solver: Message, net: Net | None) -> Iterator[str]:
    """What is not modelled of a solver and of the way its net is trained, as clauses."""
    kind = solver["type"]
    if kind not in SOLVERS:
        yield f"solver type {kind} is not modelled"
    for name, clause in _STEPS_OF_FORKS.items():
        written = solver.get(name, False)
        if written and not (isinstance(written, float) and written < 0):
            yield f"{clause} ({name})"
    for name in _POLICIES_OF_FORKS:
        policy = solver.get(name, "fixed")
        if policy != "fixed":
            yield f"{name} {policy} is not modelled"
    last = max(0, solver["max_iter"] - 1)
    for iteration in sorted({0, last // 2, last}):
        rate = learning_rate(solver, iteration)
        if rate is None or rate != rate:
            yield f"the learning rate of iteration {iteration} is unknown"
            break
    if not solver["base_lr"] > 0:
        yield f"base_lr is {solver['base_lr']:g}"
    if not 0 <= solver["momentum"] < 1:
        yield f"momentum is {solver['momentum']:g}"
    for param in net.params() if net is not None else ():
        kind = param.filler["type"].removesuffix("static") if param.filler is not None else ""
        if kind and kind not in FILLER_TYPES:
            yield f"filler type {kind} is not modelled"
            break
    for param in net.params() if net is not None else ():
        if -math.inf < param.lr_mult < 0:
            yield f"'{param.layer.name}' has a negative lr_mult, with which updates increase the loss (N211)"
            break
    if net is not None and ("multinode" in net.message or any("multinode" in layer.message for layer in net.layers)):
        yield "gradients are averaged over several nodes (multinode)"


def _with_loaded_statistics(net: Net, origin: WeightsOrigin) -> Iterator[Layer]:
    """The layers that normalise with the statistics of a file, of which the signal knows only the sizes."""
    if origin.trained is not None:
        for layer in needed_layers(net):
            if layer.traits.stores_statistics and uses_stored_statistics(layer):
                yield layer


def without_model(layers: Sequence[Layer]) -> CannotTell:
    """That nothing can be told because of layers without a signal model."""
    layer = next((each for each in layers if not _can_be_simulated(each)), layers[0])
    others = len(layers) - 1
    more = f" (nor {'has' if others == 1 else 'have'} {counted(others, 'other layer')})" if others else ""
    if not layer.type:  # a V1 layer with a type that is in no known caffe.proto
        return CannotTell("unmodelled layer", f"the type of '{layer.name}' is unknown", "pass your Caffe's caffe.proto with --proto")
    if _can_be_simulated(layer):  # then all of them can
        remedy = "run caffe-lint simulate, which computes it"
        if layer.traits.stores_statistics and layer.traits.signal_model(layer) != UNMODELLED:
            reason = f"'{layer.name}' normalises with the statistics of a file (use_global_stats)"
            return CannotTell("unmodelled layer", reason, remedy)
    elif layer.kind is not None and layer.kind.name not in TYPES:  # it is described, but with other shapes
        remedy = "watch the training with caffe-lint log"
    else:
        remedy = f"describe {name_in_configuration(layer.message, layer.type)} in the configuration, with a known type that it is like"
    return CannotTell("unmodelled layer", f"{layer.type} '{layer.name}' has no signal model{more}", remedy)


def _can_be_simulated(layer: Layer) -> bool:
    return bool(layer.traits.simulate) and all(top.shape is not None for top in layer.tops)


def obstacle(basis: Basis, origin: WeightsOrigin) -> CannotTell | None:
    """Why nothing can be computed on a basis; None if something can."""
    if basis.weights in (LOADED, UNKNOWN):
        remedy = f"pass --weights {origin.named}" if origin.named else _STATE_WEIGHTS
        return CannotTell(f"{basis.weights} weights", origin.evidence or "initial weights are unknown", remedy)
    if basis.unmodelled:
        return without_model(basis.unmodelled)
    if basis.of_scores:
        reason = f"'{basis.of_scores[0].name}' takes the logarithm of scores instead of probabilities (N209)"
        return CannotTell("scores as probabilities", reason, "use SoftmaxWithLoss")
    if basis.faults:
        return CannotTell("out of domain", f"{basis.faults[0]} (G111)", "keep its input inside its domain")
    if basis.maximised:
        reason = f"'{basis.maximised[0].layer.name}' has a negative loss_weight, and such a loss has no minimum (N217)"
        return CannotTell("negative loss weight", reason, "make it positive")
    if basis.features:
        return CannotTell("solver feature", basis.features[0], "watch the training with caffe-lint log")
    if basis.zero:
        layer, number = basis.zero[0].layer, len(basis.zero)
        more = f" and {counted(number - 1, 'other layer')}" if number > 1 else ""
        zero = f"weights of '{layer.name}'{more} start at 0 unless trained weights are loaded"
        reason = f"{zero}, so no gradient passes them in iteration 0"
        return CannotTell("zero weights", reason, "write a weight_filler, pass --weights FILE, or run caffe-lint simulate")
    if basis.shapeless:
        layer = basis.shapeless[0]
        return CannotTell("unknown shape", f"the shapes of '{layer.name}' are unknown", GIVE_SHAPE)
    return None


def unknown_layers(net: Net, basis: Basis) -> set[Layer]:
    """The layers whose parameters or tops are unknown, apart from data, of which there is a range.

    These are layers without a model or of unknown shapes, all layers with parameters if weights are loaded or
    unknown, those with zero weights, which may be loaded; and all that come after one of them.
    """
    loaded = basis.weights in (LOADED, UNKNOWN)
    start = {*basis.unmodelled, *basis.shapeless, *(param.layer for param in basis.zero)}
    unknown: set[Blob] = set()
    found: set[Layer] = set()
    for layer in net.layers:
        if layer in start or (loaded and layer.params) or not unknown.isdisjoint(layer.bottoms):
            found.add(layer)
            unknown.update(layer.tops)
    return found
