"""What numbers in a log mean in Caffe: `explain --symptom`, and the notes of reports on logs.

Sources: softmax_loss_layer.cpp, infogain_loss_layer.hpp, loss_layer.cpp (GetNormalizer), accuracy_layer.cpp, solver.cpp (Step,
UpdateSmoothedLoss, Test), sgd_solver.cpp (GetLearningRate, ClipGradients).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from ..layers.loss import LARGEST_LOG_TERM, LARGEST_SOFTMAX_TERM
from ..moments.layer_type import SOFTMAX
from ..net.classes import number_of_classes
from ..proto.named_tuple import NamedTuple
from .runs import ROUNDING

if TYPE_CHECKING:
    from ..net.net import Net

MOST_CLASSES = 100_000
MOST_WEIGHT = 200.0  # a loss weight whose multiples of 87.3365 are told from other numbers
_NUMBER = re.compile(r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:e[-+]?\d{1,4})?", re.IGNORECASE)
_LOG, _DEBUG = "caffe-lint log train.log", "run a few iterations with debug_info: true and display: 1, then caffe-lint log"
_SIGNAL, _INPUTS, _CHECK = "caffe-lint signal solver.prototxt", "caffe-lint inputs train_val.prototxt", "caffe-lint solver.prototxt"


class Symptom(NamedTuple):
    """A number or course that people see, what it means in Caffe, what to run next, and the rules about it."""

    title: str
    meaning: str
    next: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def line(self) -> str:
        """The first sentence of what it means."""
        return self.meaning.partition(". ")[0].removesuffix(".") + "."


SYMPTOMS = {
    "softmax-floor": Symptom(
        "loss = 87.3365",
        "SoftmaxWithLoss floors probabilities at FLT_MIN, and -ln(FLT_MIN) is 87.3365: the class of the label has a "
        "probability of 0 for every item. The scores are far apart because the training diverged, because weights or "
        "inputs were too large from the start, or because labels are out of range. k/N of it means k of N items, a "
        "multiple of it a loss_weight. The loss cannot get larger, so it looks calm.",
        (_LOG, _SIGNAL, _INPUTS),
        ("T201", "T204", "T407", "G102", "G107"),
    ),
    "log-floor": Symptom(
        "loss = 46.05",
        "MultinomialLogisticLoss and InfogainLoss floor probabilities at 1e-20, and -ln(1e-20) is 46.05: the class of "
        "the label has a probability of 0. k/N of it means k of N items. MultinomialLogisticLoss has no softmax of its "
        "own: given raw scores, it starts near such a value.",
        (_LOG, _SIGNAL),
        ("T201", "T203", "G105"),
    ),
    "chance": Symptom(
        "loss = ln K",
        "A softmax that gives each of K classes the same probability has a loss of ln K: 0.6931 for 2 classes, 2.3026 "
        "for 10, 6.9078 for 1000. It is the right value at iteration 0 of a net from scratch. If the loss stays there, "
        "the net ignores its input: units are dead, gradients vanish, layers are frozen, the learning rate is far too "
        "low, or labels do not match the data.",
        (_SIGNAL, _INPUTS, _DEBUG),
        ("T309", "T303", "T304", "G108", "N204"),
    ),
    "nan": Symptom(
        "loss = nan",
        "NaN never goes away: every weight that it reaches is NaN after one update, and clip_gradients does not act on "
        "it, since comparisons with NaN are false. At iteration 0, before any update, it comes from the data, the "
        "labels, the initial weights or a layer outside its domain, and no learning rate is to blame. Later, if loss or"
        " gradients had grown, the training diverged; if they had not, it is a batch. -nan, 1.#QNAN and -1.#IND are the"
        " same.",
        (_DEBUG, _INPUTS, _SIGNAL),
        ("T106", "T101", "T102", "T201"),
    ),
    "inf": Symptom(
        "loss = inf",
        "A value exceeded 3.4e38, the largest float. The L2 norm of the gradients becomes infinite earlier, as soon as "
        "the sum of its squares does. NaN follows within an iteration or two.",
        (_DEBUG, _SIGNAL),
        ("T201", "T203", "T102"),
    ),
    "zero-loss": Symptom(
        "loss = 0",
        "A loss of exactly 0 has a gradient of 0, so nothing is learned. All labels are ignored (ignore_label), no box "
        "or object is left in the batch, a matrix or weight is 0, or no output of the net counts as a loss. A loss of "
        "boxes that is 0 now and then is normal: those batches have no matched box. Losses with a margin (HingeLoss, "
        "ContrastiveLoss, triplets) reach 0 when they are satisfied.",
        (_INPUTS, _CHECK, _LOG),
        ("T310", "T302", "G110", "N203"),
    ),
    "negative-loss": Symptom(
        "loss < 0",
        "No loss of Caffe goes below 0 with valid inputs. SigmoidCrossEntropyLoss does so for targets outside 0 to 1 "
        "(class numbers, 255), InfogainLoss for negative entries of its matrix, any loss for a negative loss_weight. "
        "Such a loss has no minimum. Values like -6e-20 are rounding of 0.",
        (_INPUTS, _CHECK),
        ("T206", "T202", "G112"),
    ),
    "large-loss": Symptom(
        "loss > 87.34",
        "A mean of softmax terms cannot exceed 87.3365, so a larger loss is a sum: over the pixels or outputs of an "
        "item (EuclideanLoss and SigmoidCrossEntropyLoss divide by the batch only), over the batch (normalization: "
        "NONE), or over several weighted losses. Its level says nothing; whether it falls does. Its gradient is larger "
        "by the same factor, and so must the learning rate be lower.",
        (_SIGNAL, _LOG),
        ("T203", "G103"),
    ),
    "loss-average": Symptom(
        "the loss is not the sum of its outputs",
        "`Iteration N, loss = …` is the sum of all losses times their weights, averaged over the last average_loss "
        "iterations and over iter_size passes. `Train net output` lines show the last pass alone. So they "
        "need not add up.",
        (),
        (),
    ),
    "swings": Symptom(
        "the loss swings",
        "Small batches differ from each other, and a loss that returns to its level after each swing does not diverge: "
        "a batch of one image, an adversarial pair of nets, or hard examples do this. Judge the median of many "
        "iterations; average_loss: 20 smooths what is displayed without changing the training.",
        (_LOG,),
        (),
    ),
    "jumps": Symptom(
        "the loss jumps with a period",
        "Jumps that return after a fixed number of iterations come from the order of the data: sorted by class, or "
        "written in groups. Caffe reads a database in one order in every epoch; only ImageData and HDF5Data can "
        "shuffle, if they are told to.",
        (_INPUTS, "convert_imageset --shuffle"),
        ("T406", "D122"),
    ),
    "chance-accuracy": Symptom(
        "accuracy = 1/K",
        "A net that guesses, or gives every item the same class, is right for 1/K of K classes: 0.1 for 10, 0.5 for 2. "
        "If the training loss falls meanwhile, the test net sees different data or statistics (transform_param, mean, "
        "label order, BatchNorm's use_global_stats). If the loss stays at ln K, nothing is learned.",
        (_LOG, _SIGNAL, _CHECK),
        ("T402", "T309", "N402", "N404"),
    ),
    "zero-accuracy": Symptom(
        "accuracy = 0",
        "A net that guesses is right now and then. Exactly 0 in every test is below chance: no label is a class that "
        "the net can predict. Labels are not 0 to K - 1, or those of the test set are not those of the training.",
        (_INPUTS, _LOG),
        ("T407", "D107", "N602"),
    ),
    "perfect-accuracy": Symptom(
        "accuracy = 1",
        "Either the data are easy, or have one class only, or the scores are NaN: comparisons with NaN are false, so "
        "Accuracy counts every item as correct. Look at the loss beside it.",
        (_LOG, _INPUTS),
        ("T402", "D109"),
    ),
    "zero-score": Symptom(
        "mAP = 0",
        "No detection matches a box. With a loss of 0 as well, no box or object is left in the data; with a loss that "
        "falls, the classes, the order of the coordinates or the scale of the boxes differ between training and "
        "evaluation.",
        (_INPUTS, _LOG),
        ("T310",),
    ),
    "zero-rate": Symptom(
        "lr = 0",
        "No weight changes. base_lr is missing or 0, a step policy has no gamma and falls to 0 at its first step, or a "
        "poly policy has reached its end.",
        ("caffe-lint schedule solver.prototxt", _CHECK),
        ("T301", "S128", "S122"),
    ),
    "clipping": Symptom(
        "Gradient clipping: scaling down gradients",
        "The L2 norm of all gradients exceeded clip_gradients, and they were scaled down to it. Now and then that is "
        "its purpose. In every iteration it makes all steps equally long: the threshold is then the learning rate.",
        (_LOG,),
        ("T403", "G101"),
    ),
    "other-loss": Symptom(
        "a loss",
        "For a softmax, e to the power of the loss is the number of classes between which the net cannot decide: "
        "compare it with the number of classes. For other losses, only the course tells.",
        (_LOG, _SIGNAL),
        (),
    ),
}


class Seen(NamedTuple):
    """A symptom and what of it depends on the number."""

    name: str
    detail: str = ""

    @property
    def symptom(self) -> Symptom:
        """Its texts."""
        return SYMPTOMS[self.name]

    @property
    def meaning(self) -> str:
        """What it means, the number first."""
        return f"{self.detail} {self.symptom.meaning}".strip()


    @property
    def expected(self) -> str:
        """What a finding says of a log in which it will be seen."""
        return " ".join(filter(None, (f"In the log, this is `{self.symptom.title}`:", self.detail, self.symptom.line)))


def of_divergence(net: Net) -> Seen:
    """What the log of a training shows once it has diverged."""
    return Seen("softmax-floor" if any(loss.layer.traits.applies == SOFTMAX for loss in net.losses) else "nan")


def of_standstill(net: Net) -> Seen | None:
    """What the log of a training shows that learns nothing; None if its only loss is no softmax over a known number of classes."""
    losses = [loss.layer for loss in net.losses if loss.weight]
    if len(losses) != 1 or losses[0].traits.applies != SOFTMAX:
        return None
    classes = number_of_classes(losses[0])
    return Seen("chance", f"{math.log(classes):.6g} is ln {classes}.") if classes is not None and classes > 1 else None


def symptom_of(text: str) -> Seen | None:
    """The symptom that somebody describes in a few words, such as `loss = 87.3365`; None if it is none that is known."""
    words = text.lower()
    for name, pattern in _IN_WORDS:
        if re.search(pattern, words):
            return Seen(name)
    found = list(_NUMBER.finditer(re.sub(r"iter(?:ation)?\s{0,9}\d{1,18}|#\d{1,9}|\(\* ?[^)]{0,80}\)", "", words)))
    if re.search(r"nan|#q|#ind|-1\.#", words):
        return Seen("nan")
    if re.search(r"\binf|#inf|overflow", words):
        return Seen("inf")
    if not found:
        return None
    written = found[-1][0]
    value = float(written)
    if re.search(r"acc|top-?[15]", words):
        return of_accuracy(value)
    if re.search(r"\blr\b|rate", words):
        return Seen("zero-rate") if value == 0 else None
    if re.search(r"\bmap\b|precision|recall|detection_eval|\biou\b", words):
        return Seen("zero-score") if value == 0 else None
    decimals = len(written.lower().partition("e")[0].partition(".")[2])
    return of_loss(value, 10.0**-decimals) or Seen("other-loss", f"e^{value:g} is {math.exp(min(value, 700)):.4g}.")


_IN_WORDS = (
    ("clipping", r"gradient clipping|scaling down"),
    ("chance", r"\bln ?\(?k\b|log\(k\)"),
    ("jumps", r"period|every epoch|each epoch|jump"),
    ("swings", r"swing|oscillat|fluctuat|up and down|noisy|spik"),
    ("loss-average", r"add up|not the sum|average_loss|sum of (?:its|the) outputs"),
)


def of_loss(value: float, tolerance: float) -> Seen | None:
    """What a loss that is known up to `tolerance` means; None if nothing in particular."""
    if math.isnan(value):
        return Seen("nan")
    if math.isinf(value):
        return Seen("inf")
    if abs(value) < ROUNDING:
        return Seen("zero-loss")
    if value < 0:
        return Seen("negative-loss")
    for name, floor in (("softmax-floor", LARGEST_SOFTMAX_TERM), ("log-floor", LARGEST_LOG_TERM)):
        times = value / floor
        if abs(value - floor) <= max(1e-3, min(tolerance, 0.05)):
            return Seen(name)
        if 1.5 < times < MOST_WEIGHT and abs(times - round(times)) < 6e-6 * times:  # six digits are displayed
            return Seen(name, f"{value:g} is {round(times)} times {floor:g}.")
    classes = round(math.exp(value)) if value < math.log(MOST_CLASSES) else 0
    if classes >= 2 and abs(value - math.log(classes)) <= tolerance < 0.5 / classes:
        return Seen("chance", f"{value:g} is ln {classes}.")
    if value > LARGEST_SOFTMAX_TERM + 1:
        return Seen("large-loss")
    if LARGEST_SOFTMAX_TERM / 2 < value < LARGEST_SOFTMAX_TERM:
        return Seen("softmax-floor", f"{value:g} is {value / LARGEST_SOFTMAX_TERM:.1%} of 87.3365.")
    return None


def of_accuracy(value: float) -> Seen | None:
    """What an accuracy means; None if nothing in particular."""
    if value == 0:
        return Seen("zero-accuracy")
    if value == 1:
        return Seen("perfect-accuracy")
    classes = round(1 / value) if 0 < value < 1 else 0
    if 2 <= classes <= MOST_CLASSES and abs(value * classes - 1) < 0.05:
        return Seen("chance-accuracy", f"{value:g} is 1/{classes}.")
    return None
