"""What the last words of Caffe mean: one table of its refusals, with their causes and what to do about them.

Each entry is matched against the lines just before the end, the line of the failed check with its source file, and the stack
frames after it. Its texts hold numbers of that line: `<a>` and `<b>` are those of `(a vs. b)`, other names are groups of the
pattern. Sources: the files of Caffe that the lines name.
"""

from __future__ import annotations

import re

from ..proto.named_tuple import NamedTuple
from .log_lines import SHELL

# Where to look for the mistake. If the run had begun, the files had passed, and only what a batch brings can have changed.
FILES, DATA, SETTINGS, MACHINE, COMMAND = "files", "data", "settings", "machine", "command"

BATCHES_CHANGE = "batch-size-changes"
LONGEST_TEXT = 4_000  # characters of one line that are searched
_PAIR = re.compile(r"\((?P<a>-?[\w.+-]{1,40}) vs\. (?P<b>-?[\w.+-]{1,40})\)")
_GAP = "[^\n]{0,200}?"
_OF_SHELL = rf"(?:^|\n *){SHELL}?"  # before what a shell says of a process


class Meaning(NamedTuple):
    """A refusal: a pattern, the name of its cause, what is wrong, why, what to do, and where to look.

    `later` replaces `what` if the run had already begun. Sizes that differ from then on are those of batches, whether an entry
    says so or not.
    """

    pattern: str
    cause: str
    what: str
    why: str
    help: str
    where: str = FILES
    later: str = ""


class Explained(NamedTuple):
    """A refusal in words; `layer` and `blob` are None if the line names none.

    `told` is the index of the earlier line that says it; None if it is the line of the check.
    """

    cause: str
    what: str
    why: str
    help: str
    where: str
    layer: str | None = None
    blob: str | None = None
    told: int | None = None


_INPUTS = "Run `caffe-lint inputs` on the net: it names the item. Repair or remove it."
_CHECK = "Run `caffe-lint` on the solver: it shows the place."
_SHAPES = "Run `caffe-lint net`: it shows all shapes."

# The first that matches wins.
MEANINGS = (
    # -- what the lines before say ------------------------------------------------------------------------------
    Meaning(
        r"Could not decode datum|DecodeDatum|imdecode|Corrupt JPEG|libpng error|OpenCV(?: Error|\()",
        "corrupt-data",
        "a record of the database could not be decoded as an image",
        "OpenCV cannot read the bytes, so the picture is empty and every check of its size fails with 0.",
        "Run `caffe-lint inputs` on the net: it names the record. Repair or remove the image, and build the database again.",
        DATA,
    ),
    Meaning(
        r"A total of 0 (images|windows)|Number of HDF5 files: 0|File is empty|Must have at least 1 HDF5|!lines_\.empty\(\)",
        "empty-source",
        "the source of a data layer is empty: it lists nothing",
        "Caffe reads the first item without asking whether there is one. ImageData needs a label after every path: a line "
        "without one ends the list.",
        "Check the file that the line before names, and give each line a path and a label.",
        DATA,
    ),
    Meaning(
        r"(?:Resuming from|Restoring[^\n]{0,60} from) (?P<name>[^\n]{1,300}?\.caffemodel(?:\.h5)?)\s",
        "wrong-snapshot-file",
        "--snapshot was given a .caffemodel, but it needs a .solverstate: <name>",
        "A .caffemodel holds the weights only. A .solverstate holds the iteration and the history of the solver.",
        "Pass the .solverstate of the same iteration to --snapshot, or the .caffemodel to --weights.",
        COMMAND,
    ),
    Meaning(
        r"Finetuning from (?P<name>[^\n]{1,300}?\.solverstate(?:\.h5)?)\s",
        "wrong-weights-file",
        "--weights was given a .solverstate, but it needs a .caffemodel: <name>",
        "A .solverstate holds the history of the solver, and no weights of a net.",
        "Pass the .caffemodel of the same iteration to --weights, or the .solverstate to --snapshot.",
        COMMAND,
    ),
    Meaning(
        r"history_size\(\) == history_\.size\(\)|Incorrect length of history blobs|history_\.size\(\) == state_history_size",
        "wrong-snapshot-file",
        "the snapshot has <a> history blobs, but this solver has <b>",
        "0 means that the file is no .solverstate, such as a .caffemodel. Another number comes from another net, or from another "
        "solver type: Adam and AdaDelta keep two blobs for each parameter.",
        "Pass a .solverstate of this net and this solver type to --snapshot, or start from the weights only with --weights.",
        COMMAND,
    ),
    Meaning(
        r"(?:No module named|cannot import name) '?(?P<name>[\w.]{1,200})",
        "missing-python-module",
        "a Python layer names module '<name>', which Python does not find",
        "Caffe imports the module of python_param when it creates the layer.",
        "Add the folder of <name>.py to PYTHONPATH, and check that the module can be imported by the Python that Caffe was "
        "built with.",
    ),
    Meaning(
        r"(?P<said>\b[A-Z]\w{0,60}(?:Error|Exception): [^\n]{0,200})",
        "python-layer-error",
        "Python code raised an exception: <said>",
        "Caffe ends when Python code of a layer raises, and so does the program that trains.",
        "Read the traceback above this line: it names the place in the file.",
    ),
    Meaning(
        r"error_already_set|Traceback \(most recent call last\)",
        "python-layer-error",
        "Python code raised an exception",
        "Caffe ends when Python code of a layer raises, and so does the program that trains.",
        "Read the traceback above this line: its last line says what is wrong.",
    ),
    # -- the text format ------------------------------------------------------------------------------------------
    Meaning(
        r"Error parsing text-format caffe\.(?P<kind>\w{1,40}): (?P<place>\d+:\d+): " + _GAP
        + r'Message type "[\w.]{1,80}" has no field named "(?P<name>[^"]{1,100})"',
        "unknown-field",
        "line <place> has a field '<name>' that this Caffe does not have",
        "The field is misspelled, stands in the wrong message, or belongs to a fork.",
        "Run `caffe-lint` on the file: it says which Caffe has the field, or what it may mean.",
    ),
    Meaning(
        r"Error parsing text-format caffe\.(?P<kind>\w{1,40}): (?P<place>\d+:\d+): " + _GAP
        + r'Non-repeated field "(?P<name>[^"]{1,100})" is (?:specified multiple times|already specified)',
        "duplicate-field",
        "line <place> has a second '<name>', which may be given once",
        "Caffe does not choose between two values.",
        "Remove one of the two.",
    ),
    Meaning(
        r"Error parsing text-format caffe\.(?P<kind>\w{1,40}): (?P<place>\d+:\d+): " + _GAP
        + r'Unknown enumeration value of "(?P<value>[^"]{1,100})" for field "(?P<name>[^"]{1,100})"',
        "unknown-enum-value",
        "line <place> gives <name> the value <value>, which this Caffe does not have",
        "The value is misspelled, or belongs to a fork.",
        "Run `caffe-lint` on the file: it says which Caffe has it, or what it may mean.",
    ),
    Meaning(
        r"Error parsing text-format caffe\.(?P<kind>\w{1,40}): (?P<place>\d+:\d+): "
        r"(?P<said>(?:Invalid value for|Integer out of range|Expected (?:integer|double|string|bool))[^\n]{0,200})",
        "wrong-type",
        "the value at line <place> has the wrong type: <said>",
        "A number, a word and a quoted text are three different things in prototxt.",
        "Run `caffe-lint --diff` on the file: it shows the repair.",
    ),
    Meaning(
        r"Error parsing text-format caffe\.(?P<kind>\w{1,40}): (?P<place>\d+:\d+): (?P<said>[^\n]{0,200})",
        "syntax-error",
        "line <place> is not valid prototxt: <said>",
        "protobuf stops at the first mistake; the cause may stand before it, such as a brace that is not closed.",
        "Run `caffe-lint` on the file: it shows all mistakes, and --fix repairs most.",
    ),
    Meaning(
        r"missing required fields?: (?P<name>[\w.\[\], ]{1,200})",
        "missing-required-field",
        "a required field is missing: <name>",
        "protobuf accepts a message only with all its required fields.",
        _CHECK,
    ),
    Meaning(
        r"Failed to parse \w{1,40} file: (?P<name>\S{1,300}\.solverstate(?:\.h5)?)\s",
        "wrong-weights-file",
        "<name> is a .solverstate, but a .caffemodel is needed",
        "A .solverstate holds the history of the solver, and no weights of a net.",
        "Pass the .caffemodel of the same iteration to --weights, or the .solverstate to --snapshot.",
        COMMAND,
    ),
    Meaning(
        r"ReadProtoFromTextFile[^\n]{0,80}?Failed to parse \w{1,40} file: (?P<name>\S{1,300}\.(?:caffemodel|binaryproto|h5))\s",
        "wrong-model-file",
        "<name> is a binary file, but a prototxt is needed",
        "Caffe reads solvers and nets as text; trained weights are another file.",
        "Pass the .prototxt to --solver or --model, and the .caffemodel to --weights.",
        COMMAND,
    ),
    Meaning(
        r"ReadProtoFromBinaryFile[^\n]{0,80}?Failed to parse \w{1,40} file: (?P<name>\S{1,300})",
        "unreadable-weights",
        "<name> could not be read: it is damaged, or of another kind",
        "A download that was cut off and a page of HTML in its place have the same effect.",
        "Check the size of the file, and that it is a .caffemodel.",
        COMMAND,
    ),
    Meaning(
        r"Failed to parse (?P<kind>Net|Solver)Parameter file: (?P<name>\S{1,300})",
        "syntax-error",
        "<name> is not a valid <kind>Parameter",
        "The line before this one says where: look for `Error parsing text-format`.",
        "Run `caffe-lint` on the file: it shows all mistakes.",
    ),
    Meaning(
        r"Protocol Buffer runtime library",
        "protobuf-version",
        "Caffe was built with another version of protobuf than the one that is loaded",
        "The message names both.",
        "Build Caffe again with the installed protobuf, or load the one it was built with.",
        MACHINE,
    ),
    # -- the net ------------------------------------------------------------------------------------------------
    Meaning(
        r"[Uu]nknown layer (?:type|name):? ?(?P<name>\w{0,100})",
        "unknown-layer-type",
        "this Caffe has no layer type '<name>'",
        "It belongs to a fork, is misspelled (types are case-sensitive), or was not compiled in.",
        "Run `caffe-lint` on the net: it says which Caffe has the type, or what it may mean.",
    ),
    Meaning(
        r"Unknown bottom blob '(?P<blob>[^']{0,200})' \(layer '(?P<layer>[^']{0,200})'",
        "unknown-bottom",
        "no earlier layer produces '<blob>', which layer '<layer>' reads",
        "The name is misspelled, the layer comes later, or it is included in the other phase only.",
        _CHECK,
    ),
    Meaning(
        r"Unknown blob input (?P<blob>\S{1,200}) to layer (?P<index>\d{1,6})",
        "unknown-bottom",
        "no earlier layer produces '<blob>', which layer number <index> reads",
        "The name is misspelled, the layer comes later, or it is included in the other phase only.",
        _CHECK,
    ),
    Meaning(
        r"Top blob '(?P<blob>[^']{0,200})' produced by multiple sources",
        "duplicate-top",
        "two layers produce blob '<blob>'",
        "Either two layers have one top, or an in-place layer changes a blob that an earlier layer reads as well.",
        _CHECK,
    ),
    Meaning(
        r"Cannot copy param \d{1,9} weights from layer '(?P<layer>[^']{0,200})'[^\n]{0,60}?Source param shape is \d+ (?P<few>[134]) "
        r""
        r"[^\n]{0,60}?target param shape is \d+ (?P<many>[3-9]\d|\d{3,9}) ",
        "channels-last",
        "layer '<layer>' expects <many> input channels, its weights have <few>: the data are height x width x channels",
        "Caffe stores images as channels x height x width; NumPy and OpenCV have the channels last.",
        "Transpose the arrays (`image.transpose(2, 0, 1)`) before they are written.",
        DATA,
    ),
    Meaning(
        r"(?:height|width|datum_height|datum_width|img_height|img_width) (?:>=|<="
        r"|==) \w{1,40} \((?P<few>[134]) vs\. (?:[2-9]\d|\d{3,9})\)"
        r"|channels\w{0,20} (?:>=|<=|==) \w{0,20}channels\w{0,20} \((?:[134] vs\. (?:[3-9]\d|\d{3,9})|(?:[3-9]\d"
        r"|\d{3,9}) vs\. [134])\)"
        r"|from shape \(\d+, ?\d+, ?[134]\) into shape \([134], ?\d+, ?\d+\)",
        "channels-last",
        "a dimension of <a> stands where <b> is expected: the data are height x width x channels",
        "Caffe stores images as channels x height x width; NumPy and OpenCV have the channels last.",
        "Transpose the arrays (`image.transpose(2, 0, 1)`) before they are written.",
        DATA,
    ),
    Meaning(
        r"Cannot copy param (?P<blob>\d{1,9}) weights from layer '(?P<layer>[^']{0,200})'[^\n]{0,60}?"
        r"(?:Source param shape is (?P<source>[\d ]{1,60}?) ?\([^\n]{0,80}?target param shape is (?P<target>[\d ]{1,60}?) ?\()?",
        "weights-do-not-fit",
        "the weights of layer '<layer>' in the caffemodel have another shape than in this net",
        "Caffe copies weights by the name of the layer: <source> in the file, <target> in the net.",
        "Rename the layer to initialise it anew, or give it the size that it was trained with.",
        COMMAND,
    ),
    Meaning(
        r"Incompatible number of blobs for layer (?P<layer>[^\n]{0,200}?)\s"
        r"|target_blobs\.size\(\) == source_layer\.blobs_size\(\)",
        "weights-do-not-fit",
        "a layer has <a> parameters in this net, but <b> in the caffemodel",
        "A bias is there in one of them only (bias_term), or the layer is of another type.",
        "Give the layer the bias_term and type that it was trained with, or rename it.",
        COMMAND,
    ),
    Meaning(
        r"Cannot share param '(?P<blob>[^']{0,200})' owned by layer '(?P<owner>[^']{0,200})' with layer '(?P<layer>[^']{0,200})'",
        "shared-param-mismatch",
        "layers '<owner>' and '<layer>' share param '<blob>', but have different shapes",
        "Layers share params of one name, which must have one shape.",
        "Rename one of the params, give both layers the same sizes, or set share_mode: PERMISSIVE.",
    ),
    Meaning(
        r"Shared param '(?P<blob>[^']{0,200})' has mismatched (?P<name>\w{1,40})",
        "shared-param-mismatch",
        "the layers that share param '<blob>' have different values of <name>",
        "A shared param is updated once, with one rate and one decay.",
        "Give all of them the same <name>.",
    ),
    Meaning(
        r"Specify either include rules or exclude rules",
        "include-and-exclude",
        "a layer has both include and exclude rules",
        "Caffe accepts one of the two.",
        "Remove one of them.",
    ),
    Meaning(
        r"includes both 'layer' and 'layers' fields|inconsistent NetParameter input",
        "mixed-layer-formats",
        "the net has both `layer` and `layers`",
        "They are two formats, of which one file may have one.",
        "Run `caffe-lint --fix` on the net: it writes all of them in the current format.",
    ),
    Meaning(
        r"end < layers_\.size\(\)|Check failed: !layers?_\.empty",
        "empty-net",
        "the net has no layers in this phase",
        "The file is empty, not a net, or all its layers are left out by include and exclude rules.",
        _CHECK,
    ),
    Meaning(
        r"propagate_down param must be specified|param spec count|param_size|Too many params specified",
        "invalid-param",
        "a layer has more `param` or `propagate_down` entries than it has parameters or bottoms",
        "Caffe counts them.",
        _CHECK,
    ),
    Meaning(
        r"(?P<name>\w{1,60}) Layer cannot backpropagate to label inputs|cannot backpropagate to label",
        "no-gradient",
        "a loss would have to pass a gradient to its labels",
        "The labels come from a layer with parameters, so the bottoms of the loss may be swapped.",
        "Check the order of the bottoms: scores first, labels second.",
        SETTINGS,
    ),
    Meaning(
        r"Not Implemented Yet",
        "no-gradient",
        "a layer that has no backward pass is on the way of a gradient",
        "ArgMax, Accuracy, Threshold and stochastic pooling at test time have none.",
        "Remove the layer from the path between the loss and the parameters, or stop the gradient before it.",
        SETTINGS,
    ),
    Meaning(
        r"does not allow in-place computation|in-place computation",
        "in-place-not-allowed",
        "a layer that cannot work in place has the same blob as bottom and top",
        "It would overwrite what it still has to read.",
        "Give its top another name.",
    ),
    Meaning(
        r"has unknown engine|unknown engine",
        "cudnn-missing",
        "a layer asks for an engine that this build of Caffe does not have",
        "engine: CUDNN needs a Caffe that was built with cuDNN.",
        "Remove the engine, or build Caffe with USE_CUDNN.",
        MACHINE,
    ),
    Meaning(
        r"Number of top blobs \(\d{1,6}\) should evenly divide input slice axis|slice_point|slice axis",
        "shape-mismatch",
        "Slice cannot divide its bottom: <a> against <b>",
        "slice_point must rise and lie inside the axis; without it, the axis must be divisible by the number of tops.",
        "Correct slice_point, or the number of tops.",
    ),
    Meaning(
        r"only takes coefficients|one coefficient per bottom",
        "invalid-setting",
        "Eltwise has coefficients that do not fit it",
        "It takes one for each bottom, and only with operation: SUM.",
        "Give one coeff for each bottom, or none.",
    ),
    Meaning(
        r"(?:takes|produces)[^\n]{0,40}? blobs?\b|(?:bottom"
        r"|top)_?(?:\.size\(\)|size|_blobs)"
        r"|(?:Min|Max|Exact)Num(?:Bottom|Top)",
        "blob-count-mismatch",
        "a layer has <b> bottoms or tops where <a> are expected",
        "Each type takes and produces a number of blobs of its own.",
        _CHECK,
    ),
    Meaning(
        r"axis (?P<axis>-?\d{1,9}) out of range|axis_index < num_axes|CanonicalAxisIndex|axis_index >= -num_axes",
        "invalid-axis",
        "a layer works along axis <a>, but its bottom has only <b> axes",
        "The bottoms are swapped, the axis is wrong, or a layer before dropped axes (InnerProduct, labels of one number each).",
        _SHAPES,
    ),
    # -- losses and labels --------------------------------------------------------------------------------------
    Meaning(
        r"The data and label should have the same first dimension|bottom\[0\]->(?:shape\(0\)"
        r"|num\(\)) == bottom\[1\]->(?:shape\(0\)|num\(\))",
        "shape-mismatch",
        "scores and labels have different batch sizes: <a> and <b>",
        "Two data layers, or two tops of one, bring batches of different size.",
        "Give all data layers of a phase the same batch_size; two tops of an HDF5 file need as many rows each.",
        later="the batch size changed during the training: <a> against <b>",
    ),
    Meaning(
        r"Number of labels must match number of predictions",
        "shape-mismatch",
        "the loss expects <a> labels, but gets <b>",
        "There must be one label for each place of the score map (all axes but the one of the classes).",
        "Check the order of the bottoms, the axis, and whether labels and scores have the same height and width.",
        later="the loss expects <a> labels, but gets <b>: batches or images differ in size",
    ),
    Meaning(
        r"infogain->count\(\) == num_labels_|infogain\w{0,20}\.?(?:height|width|count)",
        "infogain-matrix-size",
        "the infogain matrix has <a> entries, but <b> are needed",
        "K classes need K x K entries.",
        "Write a matrix of K x K numbers for the K outputs of the net.",
    ),
    Meaning(
        r"infogain" + _GAP + r"source must be specified|has_source\(\)",
        "missing-setting",
        "InfogainLoss has no matrix",
        "It needs infogain_loss_param { source }, or a third bottom.",
        "Name a .binaryproto with K x K numbers as source.",
    ),
    Meaning(
        r"normalize is deprecated",
        "infogain-normalize",
        "InfogainLoss has loss_param { normalize }, which it refuses",
        "Since 2017 it takes `normalization` only.",
        "Run `caffe-lint --fix`: it writes normalization instead.",
    ),
    Meaning(
        r"top_k_? (?:<=|must be)|top_k must be less",
        "invalid-setting",
        "Accuracy has top_k <a>, but there are only <b> classes",
        "top_k counts how many of the largest scores may hold the label.",
        "Lower top_k, or check whether the bottoms are swapped.",
    ),
    Meaning(
        r"label_value (?:<|>=|!=)|label (?:<|>=) |Label" + _GAP + r"range|(?:DCHECK_(?:GE|LT)|Check failed: ) ?label",
        "label-out-of-range",
        "a label is out of range: <a> against <b>",
        "Labels must be 0 to K - 1 for the K outputs of the net.",
        "Count labels from 0, or raise num_output. `caffe-lint inputs` checks all labels.",
        DATA,
    ),
    Meaning(
        r"match_index\[p\] < gt_bboxes\.size\(\)|gt_bboxes\.size|gt_index",
        "box-matching-failed",
        "a prior box is matched to box <a> of an image that has <b>",
        "MultiBoxLoss computes these indices itself. They go wrong if the predictions are NaN or infinite, or if boxes are "
        "invalid.",
        "Run with `debug_info: true` and `display: 1` and pass that log; check the boxes (xmin < xmax, ymin < ymax, labels "
        "in range).",
        DATA,
    ),
    Meaning(
        r"Number of priors must match number of (?P<name>location|confidence) predictions",
        "shape-mismatch",
        "prior boxes and <name> predictions differ in number: <a> and <b>",
        "Each prior needs 4 location values, and one confidence for each class.",
        "Check num_classes of MultiBoxLoss, and num_output of the heads: priors per place times 4, or times num_classes.",
    ),
    Meaning(
        r"Inputs must have the same dimension|layer inputs must have the same count"
        r"|bottom\[0\]->count\(\d?\) == bottom\[\w\]->count\(\d?\)",
        "shape-mismatch",
        "the two bottoms of a loss differ in size: <a> and <b>",
        "A loss that compares values needs as many predictions as targets.",
        _SHAPES,
        later="the two bottoms of a loss differ in size: <a> and <b>",
    ),
    Meaning(
        r"label_map_file|[Ll]abel map file|Failed to (?:read|convert|open) label",
        "label-map-missing",
        "the label map of the annotated data could not be read",
        "SSD's layers map labels to names by a prototxt, and refuse one that is missing or has a label twice.",
        "Check label_map_file, relative to the folder in which caffe runs.",
    ),
    # -- data ---------------------------------------------------------------------------------------------------
    Meaning(
        r"Could not (?:open or find file|load) (?P<name>[^\n]{1,300}?)\s",
        "unreadable-image",
        "image <name> could not be read",
        "It does not exist, is no image, or its name holds blanks. Paths are relative to root_folder and to the folder in which "
        "caffe runs.",
        _INPUTS,
        DATA,
    ),
    Meaning(
        r"(?:height|width) (?:>=|<) crop_size|crop_size_? <= |crop_size",
        "image-size-mismatch",
        "the crop of <b> is larger than an image of <a>",
        "crop_size must not exceed the height or width of any image.",
        "Lower crop_size, or resize the images when the database is built. `caffe-lint inputs` names the image.",
        DATA,
    ),
    Meaning(
        r"datum_channels > 0|datum\.channels\(\) > 0",
        "data-shape-mismatch",
        "the first record has no shape: <a> channels",
        "The records are not of the kind that this layer reads: AnnotatedData needs records of annotated images, and a "
        "database of "
        "images must not be built with features or with --encoded by another program.",
        "Build the database with the tool that belongs to the layer (`convert_annoset` for AnnotatedData, "
        "`convert_imageset` for Data).",
        DATA,
    ),
    Meaning(
        r"Specify either 1 mean_value or as many as channels: (?P<channels>\d{1,9})",
        "mean-mismatch",
        "an image has <channels> channels, but mean_value is given another number of times",
        "One mean_value serves all channels; otherwise each channel needs its own.",
        "Give one mean_value for each channel. If only some images are grey, set force_color: true, or convert them.",
        DATA,
    ),
    Meaning(
        r"channels == (?:datum|img)_channels|force_(?:color|gray)",
        "image-size-mismatch",
        "an image has <b> channels, but the first one had <a>",
        "All images of a source must have as many channels as the first, which sets the shape of the top.",
        "Set force_color: true (AnnotatedData) or is_color, or convert the grey images before building the database.",
        DATA,
    ),
    Meaning(
        r"(?:height|width) <= (?:datum|img)_(?:height|width)|(?:height|width) == (?:datum|img)_(?:height|width)"
        r"|(?:datum|img|cv_img)\S{0,20} ?== ?(?:height|width|channels)",
        "image-size-mismatch",
        "an image has another size than the first one: <b> against <a>",
        "Without a crop or resize, all images of a batch must have one size.",
        "Resize the images, set crop_size or new_height and new_width, or use batch_size: 1.",
        DATA,
    ),
    Meaning(
        r"data_mean_|mean\.(?:height|width|channels)",
        "mean-mismatch",
        "the mean image has another size than the data: <a> against <b>",
        "mean_file is subtracted before the crop, so it must have the size and channels of the stored images.",
        "Compute the mean of this database, or use mean_value.",
        DATA,
    ),
    Meaning(
        r"Cannot specify mean_file and mean_value",
        "invalid-data-settings",
        "transform_param has both mean_file and mean_value",
        "Caffe subtracts one of the two.",
        "Remove one of them.",
    ),
    Meaning(
        r"HDF5Data does not transform data",
        "invalid-data-settings",
        "an HDF5Data layer has transform_param, which it refuses",
        "HDF5Data hands on the numbers of the file as they are.",
        "Scale the data in the file, and remove transform_param.",
    ),
    Meaning(
        r"new_height and new_width to be set at the same time|new_height == 0 &&",
        "invalid-data-settings",
        "only one of new_height and new_width is set",
        "Caffe wants both or neither.",
        "Set both.",
    ),
    Meaning(
        r"Failed to find HDF5 dataset (?P<name>\S{1,200})",
        "hdf5-dataset-mismatch",
        "the HDF5 file has no dataset '<name>'",
        "HDF5Data reads one dataset for each top, by the name of the top.",
        "Rename the top, or the dataset.",
        DATA,
    ),
    Meaning(
        r"(?:hdf5_data_layer|hdf_blobs_)" + _GAP + r"(?:shape\(0\)|num\(\))|datasets? " + _GAP + r"same (?:first dimension"
        r"|length)",
        "hdf5-dataset-mismatch",
        "the datasets of an HDF5 file have different lengths: <a> and <b>",
        "Each top takes a row of its dataset for each item.",
        "Write as many rows of data as of labels.",
        DATA,
    ),
    Meaning(
        r"(?:Unsupported|Expected (?:float|double))[^\n]{0,60}?(?:datatype|data)|H5T_\w{1,20}|ndims (?:<=|>=)",
        "hdf5-dataset-mismatch",
        "an HDF5 dataset has a type or a number of axes that Caffe does not read",
        "Caffe reads numbers in float or double, with at most 4 axes in old versions.",
        "Write the dataset as float32.",
        DATA,
    ),
    Meaning(
        r"(?:Failed (?:to open|opening)|Could ?n[o']t open|Couldn't open)[^\n]{0,40}?(?:source file:?"
        r"|HDF5(?: file)?:?) (?P<name>[^\n]{1,300}?)\s",
        "missing-data-source",
        "the source <name> of a data layer cannot be opened",
        "Paths are relative to the folder in which caffe runs, also those inside a list.",
        "Correct the path, or start caffe in the folder that it is relative to.",
    ),
    Meaning(
        r"mdb_status == 0 \(2 vs|Failed to open leveldb (?P<name>[^\n]{1,300}?)\s|db_leveldb"
        r"|mdb_status == 0[^\n]{0,40}?No such file",
        "missing-data-source",
        "the database of a data layer cannot be opened",
        "The path does not exist (it is relative to the folder in which caffe runs), or the database is of the other kind, "
        "as for "
        "an LMDB that is opened without backend: LMDB. A LevelDB can be opened by one process only.",
        "Check source and backend of the layer that was being set up.",
    ),
    Meaning(
        r"MDB_INVALID|MDB_CORRUPTED|MDB_PAGE_NOTFOUND|MDB_VERSION_MISMATCH|mdb_status == 0 \(-3079[3467] vs",
        "corrupt-data",
        "the LMDB is damaged, or of another version",
        "A copy that was cut off has this effect.",
        "Copy or build the database again.",
        DATA,
    ),
    Meaning(
        r"MDB_MAP_FULL|MDB_READERS_FULL|MDB_TLS_FULL|mdb_status == 0 \((?:12|13|11|16|22|28) vs",
        "database-error",
        "the LMDB could not be opened or written: <a>",
        "11, 12 and 22 are limits of the system or file system, 13 is permission, 28 a full disk.",
        "Check permissions and free space, and do not keep the LMDB on a network file system.",
        MACHINE,
    ),
    Meaning(
        r"mdb_status == 0|Unknown database backend",
        "wrong-data-backend",
        "the database could not be read: <a>",
        "The backend is not the kind of the database, or it was not built into Caffe.",
        "Check backend in data_param.",
    ),
    Meaning(
        r"MemoryDataLayer needs to be initialized",
        "invalid-data-settings",
        "a MemoryData layer has no data",
        "Only a program can hand data to it, by Reset or set_input_arrays.",
        "Use another data layer for `caffe train`.",
    ),
    # -- solver ---------------------------------------------------------------------------------------------------
    Meaning(
        r"Unknown (?:learning rate|lr) policy:? ?(?P<name>\S{0,60})",
        "unknown-lr-policy",
        "this Caffe has no lr_policy '<name>'",
        "It is missing, misspelled (names are case-sensitive), or belongs to a fork. Caffe looks at it only after iteration 0.",
        "Set lr_policy to fixed, step, multistep, exp, inv, poly or sigmoid.",
        SETTINGS,
    ),
    Meaning(
        r"Unknown solver type:? ?(?P<name>\S{0,60})",
        "unknown-solver-type",
        "this Caffe has no solver type '<name>'",
        "Names are case-sensitive: SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam.",
        "Run `caffe-lint --fix` on the solver.",
        SETTINGS,
    ),
    Meaning(
        r"Unknown regularization type:? ?(?P<name>\S{0,60})",
        "unknown-regularization-type",
        "this Caffe has no regularization_type '<name>'",
        "It knows \"L1\" and \"L2\". It looks only when weight_decay is not 0, after iteration 0.",
        "Set regularization_type to L1 or L2.",
        SETTINGS,
    ),
    Meaning(
        r"stepsize\(\) > 0|gamma\(\) >= 0|stepvalue|average_loss\(\) >= 1|rms_decay",
        "invalid-setting",
        "a number of the solver is out of range: <a> against <b>",
        "Caffe looks at the schedule only after iteration 0.",
        _CHECK,
        SETTINGS,
    ),
    Meaning(
        r"Momentum cannot be used with (?P<name>\w{1,40})",
        "unsupported-momentum",
        "<name> does not support momentum, which is <b>",
        "AdaGrad and RMSProp have none; momentum must be 0 or missing.",
        "Remove momentum, or use another solver type.",
        SETTINGS,
    ),
    Meaning(
        r"old solver_type field[^\n]{0,120}?new type field|has_solver_type\(\)",
        "duplicate-solver-type",
        "the solver has both solver_type and type",
        "They are the old and the new form of one setting.",
        "Run `caffe-lint --fix` on the solver: it keeps one.",
        SETTINGS,
    ),
    Meaning(
        r"num_train_nets|must (?:specify a|not contain more than one)[^\n]{0,60}?train",
        "train-net-count",
        "the solver names <a> training nets, but must name one",
        "net, net_param, train_net and train_net_param each name one.",
        "Keep exactly one of them.",
        SETTINGS,
    ),
    Meaning(
        r"test_iter_size\(\)|test_iter must be specified",
        "test-iter-count",
        "the solver has <a> test_iter for <b> test nets",
        "Each test net needs its own.",
        "Give test_iter once for each test net.",
        SETTINGS,
    ),
    Meaning(
        r"test_interval\(\) > 0",
        "missing-test-interval",
        "the solver has a test net, but no test_interval",
        "Caffe needs to know how often to test.",
        "Set test_interval, or remove test_iter and the test net.",
        SETTINGS,
    ),
    Meaning(
        r"test_state must be|test_state_size",
        "test-state-count",
        "the solver has <a> test_state for <b> test nets",
        "Either none, or one for each test net.",
        _CHECK,
        SETTINGS,
    ),
    Meaning(
        r"Cannot write to snapshot prefix|SerializeToOstream|Snapshot" + _GAP + r"(?:fail|write|open)|snapshot_prefix"
        r"|Error saving",
        "snapshot-not-written",
        "a snapshot could not be written",
        "The folder of snapshot_prefix does not exist or is not writable, or the disk is full. Caffe does not create folders.",
        "Create the folder, relative to the one in which caffe runs.",
        MACHINE,
    ),
    Meaning(
        r"Cannot use GPU in CPU-only Caffe|CPU_ONLY|CPU-only",
        "cpu-only-build",
        "solver_mode is GPU, but this Caffe was built without CUDA",
        "GPU is also the default where solver_mode is missing.",
        "Set solver_mode: CPU, or build Caffe with CUDA.",
        MACHINE,
    ),
    # -- the machine --------------------------------------------------------------------------------------------
    Meaning(
        r"[Oo]ut of memory|cudaErrorMemoryAllocation|cudaSuccess \(2 vs|std::bad_alloc|ALLOC_FAILED|host allocation of size"
        r"|Cannot allocate memory|" + _OF_SHELL + r"[Kk]illed\b",
        "out-of-memory",
        "memory ran out",
        "Activations need memory in proportion to batch_size. A test net keeps its memory beside that of the training net.",
        "Lower batch_size and raise iter_size by the same factor: the gradients stay the same.",
        MACHINE,
    ),
    Meaning(
        r"(?:cudaSuccess|CURAND_STATUS_SUCCESS) \((?:77|700|4|719|59|710|716) vs|illegal memory access|device-side assert"
        r"|unspecified launch failure"
        r"|misaligned address",
        "gpu-memory-access",
        "a kernel on the GPU read or wrote outside its blob",
        "Labels out of range are the usual reason: release builds do not check them.",
        "Run `caffe-lint inputs` on the net to check the labels, and run once with solver_mode: CPU.",
        DATA,
    ),
    Meaning(
        r"cudaSuccess \((?:8|48|209|98) vs|invalid device function|no kernel image",
        "gpu-architecture",
        "this Caffe was not compiled for the architecture of this GPU",
        "CUDA_ARCH in Makefile.config lists the architectures.",
        "Add the architecture of the GPU, and build Caffe again.",
        MACHINE,
    ),
    Meaning(
        r"cudaSuccess \((?:10|101|38|100|35|3|46) vs|invalid device ordinal|no CUDA-capable device|driver version is insufficient"
        r"|all CUDA-capable devices are busy",
        "gpu-not-available",
        "CUDA cannot use the GPU: error <a>",
        "There is no such device, the driver is too old, or another process holds it.",
        "Check `nvidia-smi`, and the number after -gpu.",
        MACHINE,
    ),
    Meaning(
        r"CUDNN_STATUS_(?P<name>[A-Z_]{1,40})|CUDNN_STATUS_SUCCESS \(|cudnnStatus|cudnn\w{0,60}\(",
        "cudnn-error",
        "cuDNN refused: <a> instead of success",
        "NOT_INITIALIZED, ARCH_MISMATCH and INTERNAL_ERROR mean that driver, GPU and cuDNN do not fit, or that memory ran out; "
        "BAD_PARAM and NOT_SUPPORTED that this layer's sizes are not supported.",
        "Free memory on the GPU, check the versions, or set engine: CAFFE in the layer.",
        MACHINE,
    ),
    Meaning(
        r"cudaSuccess|CUBLAS_STATUS|cublas|CURAND_STATUS|curand|NCCL|ncclSuccess",
        "cuda-error",
        "CUDA failed: error <a>",
        "Build and driver do not match, memory ran out, or an earlier kernel accessed memory outside its blobs.",
        "Run once with solver_mode: CPU: if that works, it is the GPU or its driver.",
        MACHINE,
    ),
    Meaning(
        r"File not found: (?P<name>[^\n]{1,300}?)\s|Failed to open (?:file:? )?(?P<third>\S{1,300})\s"
        r"|Could ?n[o']t open (?P<other>[^\n]{1,300}?)\s|No such file",
        "file-missing",
        "file <name> does not exist",
        "Paths in prototxt files and on the command line are relative to the folder in which caffe runs.",
        "Correct the path, or start caffe in the folder that it is relative to.",
        COMMAND,
    ),
    Meaning(
        r"(?:ReadProtoFromBinaryFile|protocol message was rejected because it was too big)",
        "unreadable-weights",
        "a binary file could not be read: it is damaged, or of another kind",
        "A download that was cut off and a text file have the same effect.",
        "Check the size of the file, and that it is a .caffemodel, .solverstate or .binaryproto as the option or field expects.",
        COMMAND,
    ),
    Meaning(
        r"Floating point exception|SIGFPE",
        "invalid-setting",
        "a whole number was divided by 0",
        "A stride, kernel or group of a layer is 0, such as stride_h without stride_w, or a batch has no items.",
        "Look at the layer that was being set up, and give both of each pair.",
    ),
    Meaning(
        r"Illegal instruction|SIGILL",
        "cpu-architecture",
        "this Caffe, or a library of it, was built for another processor",
        "It uses an instruction that this processor does not have, such as AVX.",
        "Build Caffe and its BLAS on this machine.",
        MACHINE,
    ),
    Meaning(
        r"Bus error|SIGBUS",
        "corrupt-data",
        "a mapped file ended earlier than it should",
        "An LMDB that was cut off, or a full disk or /dev/shm, has this effect.",
        "Copy or build the database again, and check free space.",
        MACHINE,
    ),
    Meaning(
        r"\*\*\* SIG(?:TERM|HUP|INT|QUIT|KILL|XCPU) |" + _OF_SHELL + r"[Tt]erminated\b",
        "process-ended",
        "another program or a person ended it",
        "Caffe was told to end: by a job system whose time or memory was used up, by `kill`, or by the terminal that was closed.",
        "Ask the job system why. Train in tmux or with nohup, and continue from the last snapshot with `-snapshot`.",
        MACHINE,
    ),
    # -- layers -----------------------------------------------------------------------------------------------------
    Meaning(
        r"shape\[i\] >= 0",
        "empty-output",
        "a layer would output a blob of size <a>",
        "The kernel is larger than its input: too many layers halve the size before it, or the image is too small.",
        "Use a larger input, or a smaller kernel or stride, in the layer that was being set up.",
    ),
    Meaning(
        r"blob size exceeds INT_MAX|0x7fffffff",
        "shape-mismatch",
        "a blob would have more than 2,147,483,647 values",
        "Caffe counts the values of a blob in 32 bits.",
        "Lower batch_size, or reduce the size of the layer that was being set up.",
    ),
    Meaning(
        r"blob\.cpp[^\n]{0,20}?Check failed: data_|Check failed: (?:data_|diff_)\s",
        "empty-output",
        "a layer reads a blob that has no values",
        "A dimension of it is 0, or no layer fills it.",
        "Look for a dimension of 0 in the shapes: `caffe-lint net` shows them.",
    ),
    Meaning(
        r"All inputs must have the same (?:shape, except at concat_axis|#axes)",
        "shape-mismatch",
        "the bottoms of a Concat differ along another axis than its own: <a> and <b>",
        "Often one path rounds down (Convolution) where the other rounds up (Pooling).",
        "Give both paths the same sizes, by pad, or by an input size that is divisible by all strides.",
    ),
    Meaning(
        r"eltwise_layer[^\n]{0,20}?Check failed: bottom\[0\]->shape\(\) == bottom\[\w\]->shape\(\)(?P<said>[^\n]{0,200})",
        "shape-mismatch",
        "the bottoms of an Eltwise differ in shape: <said>",
        "Eltwise combines values one by one.",
        "Compare num_output and strides of the two paths. " + _SHAPES,
    ),
    Meaning(
        r"output count must match input count|must be divisible by the product of the specified dimensions",
        "shape-mismatch",
        "Reshape cannot make its shape of this bottom: <a> against <b>",
        "A reshape keeps the number of values.",
        "Use -1 for the dimension that follows from the others, and 0 for those that stay.",
    ),
    Meaning(
        r"the crop for dimension (?P<axis>\d{1,6}) is out-of-bounds with size (?P<size>\d{1,9}) and offset (?P<offset>\d{1,9})",
        "shape-mismatch",
        "Crop wants <size> values from offset <offset>, but its bottom is smaller",
        "The bottom to crop must be at least as large as the reference.",
        "Swap the bottoms, lower the offset, or pad the first layers more (fully convolutional nets use pad: 100).",
    ),
    Meaning(
        r"N_ == bottom\[1\]->shape\(1\)|exactly 2 axes -- \(#timesteps|recurrent_layer|lstm_layer",
        "shape-mismatch",
        "a recurrent layer gets inputs of the wrong shape: <a> against <b>",
        "It takes T x N x ... data and T x N markers of where sequences continue.",
        "Put the time steps first, and give the markers two axes.",
    ),
    Meaning(
        r"Input must have 4 axes|Cannot use legacy accessors",
        "invalid-axis",
        "a layer needs a bottom with 4 axes: <a> against <b>",
        "It works on images: number, channels, height, width.",
        "Insert a Reshape before it, or use a type without this limit.",
    ),
    Meaning(
        r"pad_h_? < kernel|pad_w_? < kernel|pad\w{0,3} < kernel",
        "invalid-setting",
        "the pad of a pooling layer is not smaller than its kernel: <a> against <b>",
        "A window would lie wholly in the padding.",
        "Lower pad, or raise kernel_size.",
    ),
    Meaning(
        r"group_ == 0|should be multiples of group",
        "shape-mismatch",
        "channels or num_output are not divisible by group: a rest of <a>",
        "Each group takes the same number of channels.",
        "Change num_output or group.",
    ),
    Meaning(
        r"num_output_ > 0|kernel_shape_data\[i\] > 0|Filter dimensions must be nonzero|stride_data\[i\] > 0"
        r"|Stride dimensions must be nonzero"
        r"|kernel_size must be specified|must be specified and positive|Must specify 'shape'|Number of tiles must be specified",
        "missing-setting",
        "a setting that the layer needs is missing or 0",
        "num_output, kernel_size, stride and shapes must be positive.",
        _CHECK,
    ),
    Meaning(
        r"a <= b \(0 vs\. -\d[\d.]*e-0[6-9]\)",
        "invalid-setting",
        "a crop of SSD's sampler came out larger than the image by a rounding error: from <a> to <b>",
        "Where SampleBBox cuts an aspect ratio to what fits, the width is scale * sqrt(1 / scale^2), which need not be exactly 1 "
        "(sampler.cpp). The files are right.",
        "Limit bbox_width and bbox_height to 1 in SampleBBox, and build Caffe again.",
        MACHINE,
    ),
    Meaning(
        r"inferred_axis_|should be specified; not both|specify(?:ied)? (?:either|one)[^\n]{0,60}?not both"
        r"|Filter size is kernel_size OR|Filter size cannot specified"
        r"|With Global_pooling: true|number of offset values|local_size|strictly positive"
        r"|base (?:>|!=)|statistics as layer parameters|p >= 0|p <= 1|a <= b|sigma > 0|max_size",
        "invalid-setting",
        "a setting of the layer is not allowed: <line>",
        "Caffe checks the settings when it creates the layer.",
        _CHECK,
    ),
    Meaning(
        r"filler\.hpp|Filter must be square|Sparsity used by",
        "invalid-filler",
        "a filler does not fit its layer: <a> against <b>",
        "bilinear needs square kernels of 4 axes, and gaussian alone takes sparse.",
        "Use xavier or msra.",
    ),
    Meaning(
        r"num_axes\(\) ?(?:<=|==|>=)|num_axes",
        "invalid-axis",
        "a blob has the wrong number of axes: <a> against <b>",
        "The bottoms are swapped, or a layer before dropped axes.",
        _SHAPES,
    ),
    Meaning(
        r"Check failed: [^\n]{0,120}?(?:shape|height\(\)|width\(\)|channels\(\)|num\(\)|count\(\))",
        "shape-mismatch",
        "two sizes that must be equal differ: <a> and <b>",
        "The check says which: <line>.",
        _SHAPES,
        later="two sizes that must be equal differ since the last iteration: <a> and <b>",
    ),
)  # fmt: skip

# What it means that sizes differ after the training had begun, which no entry of the table needs to repeat.
_CHANGED = (
    "The same check passed before, so the files are right: a source delivers batches of different size, such as a last "
    "batch of an "
    "epoch that is not full, a Python layer that skips items, or images of different size."
)
_CHANGED_HELP = (
    "Make the number of items a multiple of batch_size, or drop the rest. If the shapes are in HDF5 files, give each "
    "file at least "
    "batch_size rows."
)
_COMPILED: list[re.Pattern[str]] = []


def explain(before: str, line: str, after: str, *, had_begun: bool | None) -> Explained | None:
    """What the last words of a run mean; None if the table does not know them.

    `line` is the check that failed with its source, `before` and `after` the lines around it: errors, stack frames.
    `had_begun` says whether an iteration came before it, and is None if the log does not show that.
    """
    if not _COMPILED:
        _COMPILED.extend(re.compile(meaning.pattern) for meaning in MEANINGS)
    line = line[:LONGEST_TEXT]
    before = before[:LONGEST_TEXT]
    text = f"{before}\n{line}\n{after[:LONGEST_TEXT]}\n"
    pair = _PAIR.search(line)
    for meaning, pattern in zip(MEANINGS, _COMPILED, strict=True):
        found = pattern.search(text)
        if found is None:
            continue
        named = {**(pair.groupdict() if pair else {}), **found.groupdict()}
        groups = {name: value.strip() for name, value in named.items() if value}
        groups.setdefault("name", groups.get("other") or groups.get("third") or "?")
        groups["line"] = line.partition("Check failed: ")[2].strip()[:160]
        changed = bool(had_begun) and (bool(meaning.later) or meaning.cause == "shape-mismatch")
        what = _filled((meaning.later if changed else "") or meaning.what, groups)
        why, help_ = (_CHANGED, _CHANGED_HELP) if changed else (_filled(meaning.why, groups), _filled(meaning.help, groups))
        if had_begun is None and meaning.later:
            why += " If the training had begun, a source delivers batches of different size."
        return Explained(
            BATCHES_CHANGE if changed else meaning.cause,
            what,
            why,
            help_,
            DATA if changed else meaning.where,
            groups.get("layer"),
            groups.get("blob"),
            before[: found.start()].count("\n") if found.start() < len(before) else None,
        )
    return None


def _filled(text: str, groups: dict[str, str]) -> str:
    """Return a text with its numbers; those that the line does not have are `?`."""
    return re.sub(r"<(\w+)>", lambda found: groups.get(found[1], "?"), text)


# What a layer's code died of, by the class in the stack frame.
_CRASHED_IN = (
    (r"ImageDataLayer|WindowDataLayer", "empty-source", "while it read its list"),
    (r"SoftmaxWithLoss|SoftmaxLoss|InfogainLoss|MultinomialLogistic|HingeLoss|Accuracy|MultiBoxLoss", "label-out-of-range",
     "a loss or Accuracy reads the score of the class that the label names, and a label out of range lies outside its memory"),
    (r"EmbedLayer", "label-out-of-range", "Embed reads the row that its input names, which must be below input_dim"),
    (r"PoolingLayer", "in-place-not-allowed",
     "MAX pooling writes its gradient to places that it remembers: NaN and pooling in place spoil them"),
    (r"PythonLayer", "python-layer-error", "Python code of a layer died"),
)  # fmt: skip


def causes() -> dict[str, str]:
    """The causes that the tables name, each with an explanation."""
    found: dict[str, list[str]] = {}
    for meaning in MEANINGS:
        found.setdefault(meaning.cause, []).append(_filled(f"{meaning.why} {meaning.help}", {}))
    found[BATCHES_CHANGE] = [f"{_CHANGED} {_CHANGED_HELP}"]
    return {cause: " ".join(dict.fromkeys(texts)) for cause, texts in sorted(found.items())}


class Crash(NamedTuple):
    """What a crash without a failed check may come from."""

    cause: str
    function: str
    why: str


def explain_crash(frames: list[str]) -> Crash | None:
    """What the stack frames of a crash say: the first function of Caffe in them; None if there is none."""
    function = next((name for name in map(function_of, frames) if name), "")
    if not function:
        return None
    for pattern, cause, why in _CRASHED_IN:
        if re.search(pattern, function):
            return Crash(cause, function, why)
    return Crash("process-crash", function, "")


def function_of(frame: str) -> str:
    """The function of Caffe in a stack frame, such as `SoftmaxWithLossLayer::Forward_cpu`; empty if it is none of Caffe's."""
    found = re.search(r"caffe::([\w<>:, ]{1,200})", frame[:LONGEST_TEXT])
    return found[1].replace("<>", "").rstrip(" :") if found else ""
