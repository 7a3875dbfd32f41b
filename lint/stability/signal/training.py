"""What the signal is computed for: a solver with its training net, the facts about its data and their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ...layers.resizing import unpooled, written_size
from ...layers.sliding_windows import window_of
from ...moments.graph import Blob, Layer, NetProblem
from ...moments.layer_type import CLASSIFICATION, SIGMOID
from ...moments.shapes import Shape, describe
from ...moments.signal_model import AssumedData, SignalContext, positions_of
from ...net.build import rebuilt
from ...net.data_facts import DataFacts, tops_facts
from ...net.job import Job, Nets, SolverFile
from ...net.net import Net
from ...net.trained_weights import TrainedWeights, refusal
from ...proto.binder import Message
from ...proto.named_tuple import NamedTuple
from ...solver.schedule import POLICIES
from ...source.files import SourceFile
from ...source.wording import counted
from .basis import GIVE_SHAPE, Basis, CannotTell, basis_of, without_model
from .passes import PreparedNet, prepare, unmodelled_layers

FIX_ERRORS = "fix the errors that caffe-lint reports"
_FIX_IN_FORK = "fix the net if your Caffe refuses it, too"  # which a check may not report as an error

# The shapes assumed for images of unknown shape (items, channels, height, width): the usual crop of ImageNet, and the size of
# CIFAR's images, the smallest in common use.
PHOTOGRAPH, SMALL_IMAGE = (0, 3, 224, 224), (0, 3, 32, 32)
# Smaller sizes are assumed where a fully connected layer would read a map wider than LARGEST_MAP: it reads 4 x 4 in LeNet and
# CIFAR-10 quick, 6 x 6 in AlexNet, 7 x 7 in VGG, but 53 x 53 in a LeNet for 224 x 224. So they are where a classifier would average
# over a wider map than LARGEST_AVERAGED: it is 7 wide in ResNet, 8 in ResNets for CIFAR-10, 15 in SqueezeNet. Not fitted.
SIZES, LARGEST_MAP, LARGEST_AVERAGED = (224, 128, 64, 32), 8, 15
# Heights and widths of images that well-known nets were written for; the first that fits is assumed where none of the above does:
# AlexNet, Inception, DeepLab, SegNet, PSPNet, SSD, DCGAN, CIFAR-10, LeNet.
OTHER_SIZES = ((227, 227), (299, 299), (321, 321), (360, 480), (473, 473), (512, 512), (64, 64), (32, 32), (28, 28))
# What data may be that the files do not describe. 8-bit images: mean and standard deviation of a pixel of photographs, near
# those of CIFAR-10 (121 and 64); of dark images of low contrast, such as those of a night or of an X-ray; and of images of high
# contrast on white, such as drawings and scanned text. Real data lie between the last two: MNIST 33 and 79, SVHN 112 and 50,
# ImageNet 116 and 58, Fashion-MNIST 73 and 90. Values of which nothing is known are at least about 1 in magnitude, as people
# scale data, and at most as large as those of 8-bit images. The weights of classes in an infogain matrix balance frequencies,
# so they are around 1. None of these numbers was fitted.
PHOTOGRAPHS = AssumedData(110.0, 65.0, None, PHOTOGRAPH, 1.0)
DARK = AssumedData(30.0, 30.0, 1.0, SMALL_IMAGE, 0.1)
BRIGHT = AssumedData(200.0, 90.0, 128.0, PHOTOGRAPH, 10.0)


class Training(NamedTuple):
    """A training to predict, with one assumption about its data: its solver, its training net prepared for passes, its basis.

    `trained` are the weights that it starts from, if the user gave their file.
    """

    solver: Message
    prepared: PreparedNet
    context: SignalContext
    basis: Basis
    trained: TrainedWeights | None = None

    @property
    def net(self) -> Net:
        """The training net."""
        return self.prepared.net

    def with_data(self, assumed: AssumedData) -> Training:
        """The same training with another assumption about the data that are not known."""
        context = self.context._replace(assumed=assumed)
        net = self.net
        if self.basis.open_tops and assumed.image != self.context.assumed.image:
            other = _with_images(net, self.basis.open_tops, assumed.image)
            net = other if is_accepted(other) else net
        like = self.prepared if net is self.net else None
        return self._replace(prepared=_prepared(net, context, self.prepared.batches, like), context=context)

    def points(self) -> list[Training]:
        """The training at some points of the range of what is not known: itself, and if it is one, its two ends."""
        if self.basis.is_known:
            return [self]
        return [self, self.with_data(DARK), self.with_data(BRIGHT._replace(image=self.context.assumed.image))]


def training_of_file(
    file: SourceFile,
    open_file: Callable[[str], SourceFile],
    facts: DataFacts,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    caffe_version: str | None = None,
) -> Training | CannotTell:
    """The training of a solver's file, or why it has none, as `training_of`."""
    given = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
    nets = Nets(open_file, caffe_version, input_shapes=given, facts_for=lambda path: facts)
    return training_of(nets.job(SolverFile(file, caffe_version), None))


def training_of(job: Job) -> Training | CannotTell:
    """The training of a job, or why it has none: no training net, one that Caffe would reject, or one that has no loss."""
    if job.train is None:
        return CannotTell("no net", "the training net is missing, empty or not named", "check the solver, which says why")
    net = job.train.net
    if not is_accepted(net):
        refused = _refused(net)
        for_bvlc = job.train.file.is_for_bvlc and refused.kind != "filler-of-fork"
        whose, remedy = ("Caffe", FIX_ERRORS) if for_bvlc else ("BVLC's Caffe", _FIX_IN_FORK)
        return CannotTell("rejected net", f"{whose} would not train this net: {refused.message}", remedy)
    policy = job.solver.message["lr_policy"]
    if policy not in POLICIES:
        clause = f"lr_policy '{policy}' is unknown" if policy else "the solver has no lr_policy"
        return CannotTell("rejected solver", clause, FIX_ERRORS)
    if not any(loss.weight for loss in net.losses):
        maybe = unmodelled_layers(net)
        if maybe:  # a loss of a type that is not known
            return without_model(maybe)
        return CannotTell("no loss", "the training net has no loss", "add one, or give a layer a loss_weight")
    of_files = {top.name: top.shape for layer in net.layers for top in _open_tops(layer)}
    open_tops: dict[str, str] = {}
    assumed = PHOTOGRAPHS
    if of_files:
        net, assumed = _with_usual_images(net, tuple(of_files))
        shapes = {top.name: top.shape for layer in net.layers for top in layer.tops}
        open_tops = {name: _usual_size(shape, shapes[name]) for name, shape in of_files.items()}
        if not is_accepted(net):
            name = next(iter(of_files))
            misfit = f"no usual one fits ({describe(PHOTOGRAPH[1:])} gives: {_refused(net).message})"
            return CannotTell("unknown shape", f"the size of the images in '{name}' is unknown, and {misfit}", GIVE_SHAPE)
        maps = _maps_of_hdf5(net)
        if maps:  # as many labels as the files have
            return CannotTell("unknown shape", f"the number of labels for '{maps}' is unknown", GIVE_SHAPE)
    context = SignalContext(partial(tops_facts, facts=net.built_with.facts), assumed)
    solver, origin = job.solver.message, job.origin
    wrong = refusal(net, origin.trained) if origin.trained is not None else ""
    if wrong:  # only for images of this size
        return CannotTell("unknown shape", f"the size of images is unknown, and {wrong}", GIVE_SHAPE)
    basis = basis_of(solver, net, origin, open_tops)
    return Training(solver, _prepared(net, context, origin.gpus), context, basis, origin.trained)


def _prepared(net: Net, context: SignalContext, batches: int, like: PreparedNet | None = None) -> PreparedNet:
    """A net prepared for passes, which its solvers share; `like` is the same net prepared for other data."""
    key = (prepare, context.assumed, batches)
    if key not in net.computed:
        net.computed[key] = prepare(net, context, batches) if like is None else like.with_data(context)
    prepared: PreparedNet = net.computed[key]
    return prepared


def _usual_size(known: Shape, assumed: Shape) -> str:
    """What is assumed of the shape of images, of which their size may be known."""
    image = (assumed or PHOTOGRAPH)[1:]
    if known is not None and None not in known[2:]:
        return counted(image[0] or 0, "channel")
    return f"images of a usual size, such as {describe(image)}"


def _with_usual_images(net: Net, open_tops: Sequence[str]) -> tuple[Net, AssumedData]:
    """A net with images of the largest size that suits its fully connected layers, and the assumption that they have it.

    Where sizes of its maps are written, images have the size that leads to them, and where that size does not fit, another usual one.
    """
    found = _with_images(net, open_tops, PHOTOGRAPHS.image), PHOTOGRAPHS
    written = _size_by_maps(found[0])
    if written is not None:
        assumed = PHOTOGRAPHS._replace(image=(*PHOTOGRAPH[:2], *written))
        return _with_images(net, open_tops, assumed.image), assumed
    if not is_accepted(found[0]):
        others = (PHOTOGRAPHS._replace(image=(*PHOTOGRAPH[:2], *size)) for size in OTHER_SIZES)
        built = ((_with_images(net, open_tops, assumed.image), assumed) for assumed in others)
        return next((each for each in built if is_accepted(each[0])), found)
    for size in SIZES[1:]:
        if _widest_map(found[0]) <= LARGEST_MAP and _averaged_map(found[0]) <= LARGEST_AVERAGED:
            break
        assumed = PHOTOGRAPHS._replace(image=(0, 3, size, size))
        smaller = _with_images(net, open_tops, assumed.image)
        if not is_accepted(smaller):
            break
        found = smaller, assumed
    return found


def _size_by_maps(net: Net) -> tuple[int, int] | None:
    """The size of images whose maps have the sizes that unpooling layers write, by a net with images of some other size."""
    factors: dict[int, tuple[int, int]] = {}
    for layer in net.layers:
        written, pooled = written_size(layer), unpooled(layer)
        shape = pooled.shape if pooled is not None else None
        if written is not None and shape is not None and len(shape) == 4 and shape[2]:
            factor = round(PHOTOGRAPH[2] / shape[2])
            factors[factor] = (written[0] * factor, written[1] * factor)
    return factors[min(factors)] if factors else None


def _with_images(net: Net, open_tops: Sequence[str], image: tuple[int, int, int, int]) -> Net:
    """A net with images of that shape where it is open.

    If that does not fit, what a loss compares with scores has one channel; if that does not either, it is as large as the scores, or
    all images are grey. If nothing fits, it is the net with images of that shape.
    """
    readers = {
        layer.tops[0].name: layer.tops[0].consumers[0]
        for layer in net.layers
        if layer.tops and layer.tops[0].consumers
        and all(reader.traits.is_loss and reader.bottoms[0] is not layer.tops[0] for reader in layer.tops[0].consumers)
    }  # fmt: skip
    items = {top.name: _hdf5_items(layer) for layer in net.layers if _is_hdf5(layer) for top in layer.tops}
    images: dict[str, Sequence[int]] = {name: (items.get(name, image[0]), *image[1:]) for name in open_tops}
    grey = {name: (shape[0], 1, *shape[2:]) for name, shape in images.items()}
    first = rebuilt(net, images)
    fitting: tuple[Mapping[str, Sequence[int]], ...] = (
        images,
        {name: grey[name] for name in open_tops if name in readers},
        {name: _as_scores(first, readers[name], images[name]) for name in open_tops if name in readers},
        grey,
    )
    return next(filter(is_accepted, (rebuilt(net, {**images, **shapes}) for shapes in fitting)), first)


def _as_scores(net: Net, reader: Layer, otherwise: Sequence[int]) -> Sequence[int]:
    """The shape of targets that a loss of a net compares with its scores, value by value or, if they are classes, place by place."""
    shape = net.layers[reader.index].bottoms[0].shape
    if shape is None or None in shape[1:]:
        return otherwise
    are_classes = reader.traits.loss_family == CLASSIFICATION and reader.traits.applies != SIGMOID
    channels = (1,) if are_classes else shape[1:2]
    return tuple(side or 0 for side in (otherwise[0], *channels, *shape[2:]))


def _widest_map(net: Net) -> int:
    """The width of the widest map that a fully connected layer reads; 0 if there is none."""
    shapes = [
        layer.bottoms[0].shape or ()
        for layer in net.layers
        if layer.traits.weighted_sum and not layer.traits.slides and layer.bottoms
    ]
    return max((shape[-1] or 0 for shape in shapes if len(shape) == 4), default=0)


def _averaged_map(net: Net) -> int:
    """The width of the map that a classifier pools as a whole, the narrowest if there are several; 0 if a loss reads maps."""
    if any((loss.layer.bottoms[0].shape or ())[2:] not in ((), (1, 1)) for loss in net.losses if loss.layer.bottoms):
        return 0
    pooled = (
        layer.bottoms[0].shape or ()
        for layer in net.layers
        if layer.traits.settings == "pooling_param" and layer.bottoms and layer.message["pooling_param"]["global_pooling"]
    )
    return min((shape[-1] or 0 for shape in pooled if len(shape) == 4), default=0)


def is_accepted(net: Net) -> bool:
    """Whether Caffe would build a net."""
    return all(problem.when == "cpu" for problem in net.problems)


def _refused(net: Net) -> NetProblem:
    """The first thing that Caffe would refuse of a net that is not accepted."""
    return next(problem for problem in net.problems if problem.when != "cpu")


def _open_tops(layer: Layer) -> Iterator[Blob]:
    """The tops of a data layer that hold images of unknown size.

    Those of HDF5Data may hold anything, so they do only if a square window slides over them.
    """
    if not layer.traits.is_data or layer.bottoms:
        return
    for top in layer.tops if _is_hdf5(layer) else layer.tops[:1]:
        unknown = top.shape is None or None in top.shape[1:]
        if unknown and (not _is_hdf5(layer) or any(map(_slides_square, top.consumers))):
            yield top


def _is_hdf5(layer: Layer) -> bool:
    return layer.traits.settings == "hdf5_data_param"


def _hdf5_items(layer: Layer) -> int:
    """The number of items in a batch of HDF5Data, whose shapes are otherwise in its files."""
    items: int = layer.message["hdf5_data_param"]["batch_size"] or 0
    return items


def _maps_of_hdf5(net: Net) -> str:
    """The loss whose scores have several positions, if it depends on files of HDF5Data how many; empty if there is none."""
    if not any(map(_is_hdf5, net.layers)):
        return ""
    losses = [layer for layer in net.layers if layer.traits.is_loss and len(layer.bottoms) > 1 and layer.bottoms[1].shape is None]
    return next((layer.name for layer in losses if positions_of(layer.bottoms[0]) > 1), "")


def _slides_square(layer: Layer) -> bool:
    """Whether a layer with weights slides a square window, wider than one value, over images."""
    window = window_of(layer) if layer.traits.weighted_sum else None
    return window is not None and len(set(window.kernel)) == 1 and window.kernel[0] > 1
