"""Mistakes in solvers (E121 to E123, P101, S101 to S138)."""

from __future__ import annotations

import os

from .case import Case, misspelt, plants

_NETS = ("net", "train_net")


def _with(case: Case, text: str, *without: str) -> bytes:
    """The solver without some fields, and with others at its end."""
    source = case.drop(case.message, *without) if any(name in case.message for name in without) else case.source
    return source.rstrip() + b"\n" + text.encode() + b"\n"


_SCHEDULE = ("lr_policy", "gamma", "power", "stepsize", "stepvalue")


@plants("E121", "job", "solver")
def net_renamed(case: Case) -> bytes:
    message = case.files.get(case.unit.paths[0]).message
    case.need(case.file.kind == "solver")
    name = case.pick(name for name in _NETS if name in message)
    return case.set(
        message, name, case.pick(["models/net_that_is_gone.prototxt", "train_val_v2_final_old.prototxt", "/data/x.pt"])
    )


@plants("E123", "solver")
def net_is_the_solver(case: Case) -> bytes:
    name = case.pick(name for name in _NETS if name in case.message)
    return case.set(case.message, name, os.path.basename(case.file.path))


@plants("E123", "solver")
def net_is_no_text(case: Case) -> bytes:
    name = case.pick(name for name in _NETS if name in case.message)
    folder = os.path.dirname(case.file.path)
    others = [other for other in os.listdir(folder) if "solver" in other and other != os.path.basename(case.file.path)]
    return case.set(case.message, name, case.pick(others))


@plants("P101", "solver")
def path_of_another_machine(case: Case) -> bytes:
    case.need("net" in case.message and case.job.train is not None and case.job.references[0].path)
    path = os.path.relpath(case.job.references[0].path, os.path.dirname(case.file.path))  # type: ignore[arg-type]
    case.need(".." not in path and os.path.basename(path) not in ("train_val.prototxt", "train.prototxt"))
    return case.set(case.message, "net", case.pick(["/home/me/caffe/", "/root/work/", "C:/caffe/"]) + path)


@plants("S101", "solver")
def net_lost(case: Case) -> bytes:
    case.need(sum(name in case.message for name in ("net", "train_net", "net_param", "train_net_param")) == 1)
    return case.drop(case.message, *_NETS)


@plants("S101", "solver")
def net_twice(case: Case) -> bytes:
    case.need(sum(name in case.message for name in _NETS) == 1)
    other = "train_net" if "net" in case.message else "net"
    return case.end(f'{other}: "train.prototxt"')


@plants("S102", "solver")
def test_iter_lost(case: Case) -> bytes:
    case.need("test_net" in case.message)
    return case.drop(case.message, "test_iter")


@plants("S102", "solver")
def test_net_more(case: Case) -> bytes:
    case.need("test_iter" in case.message and "test_interval" in case.message)
    number = 1 + len(case.message["test_iter"]) - len(case.message["test_net"])
    return case.end('test_net: "test_easy.prototxt"\n' * number)


@plants("S103", "solver")
def state_too_many(case: Case) -> bytes:
    case.need("test_state" not in case.message and len(case.message["test_iter"]) == 1 and "net" in case.message)
    return case.end("test_state { }\n" * 2)


@plants("S103", "solver")
def test_more_than_states(case: Case) -> bytes:
    case.need("test_state" not in case.message and len(case.message["test_iter"]) == 1 and "net" in case.message)
    return case.end('test_iter: 5\ntest_iter: 5\ntest_state { stage: "easy" }')


@plants("S104", "solver")
def interval_lost(case: Case) -> bytes:
    case.need("test_iter" in case.message and any(case.message["test_iter"]))
    return case.drop(case.message, "test_interval")


@plants("S104", "solver")
def interval_of_nothing(case: Case) -> bytes:
    case.need("test_iter" in case.message)
    return _with(case, case.pick(["test_interval: 0", "test_interval: -1"]), "test_interval")


@plants("S105", "solver")
def tests_of_nothing(case: Case) -> bytes:
    case.need(
        "test_interval" in case.message and "test_net" not in case.message and len(case.message["test_iter"]) == 1
    )
    return _with(case, case.pick(["", "test_iter: 0"]), "test_iter")


@plants("S106", "solver")
def no_end(case: Case) -> bytes:
    return _with(case, case.pick(["", "max_iter: 0", "max_iter: -1"]), "max_iter")


@plants("S107", "solver")
def passes_of_nothing(case: Case) -> bytes:
    return _with(case, case.pick(["iter_size: 0", "iter_size: -4"]), "iter_size")


@plants("S108", "solver")
def average_of_nothing(case: Case) -> bytes:
    return _with(case, case.pick(["average_loss: 0", "average_loss: -20"]), "average_loss")


@plants("S109", "solver")
def debugging_in_silence(case: Case) -> bytes:
    return _with(
        case, "debug_info: " + case.pick(["true", "1", "t"]) + case.pick(["", "\ndisplay: 0"]), "display", "debug_info"
    )


@plants("S110", "solver")
def prefix_lost(case: Case) -> bytes:
    case.need(case.message.get("snapshot", 1) and case.message["snapshot_after_train"])
    return case.drop(case.message, "snapshot_prefix")


@plants("S111", "solver")
def net_of_old_inside(case: Case) -> bytes:
    net = case.pick(
        [
            'net_param { layers { name: "d" type: DUMMY_DATA top: "d" dummy_data_param { num: 1 channels: 1 height: 1 width: 1 } } }',
            'train_net_param { input: "x" input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2 layer { name: "s" type: "Silence" bottom: "x" } }',
        ]
    )
    return _with(case, net, "net", "train_net", "test_net", "test_iter", "test_interval")


@plants("S121", "solver")
def policy_misspelt(case: Case) -> bytes:
    case.need("lr_policy" in case.message)
    policy = case.message["lr_policy"]
    wrong = [
        policy.title(),
        policy.upper(),
        misspelt(policy, case.chance),
        "steps",
        "constant",
        "polynomial",
        "cosine_annealing",
        "linear",
    ]
    return case.set(case.message, "lr_policy", case.pick(wrong))


@plants("S121", "solver")
def policy_lost(case: Case) -> bytes:
    return case.drop(case.message, "lr_policy")


@plants("S122", "solver")
def setting_of_the_policy_lost(case: Case) -> bytes:
    fields = {"step": ["gamma", "stepsize"], "multistep": ["gamma", "stepvalue"], "inv": ["gamma", "power"], "poly": ["power"],
              "exp": ["gamma"], "sigmoid": ["gamma", "stepsize"]}  # fmt: skip
    case.need(case.message["lr_policy"] in fields)
    return case.drop(case.message, case.pick(fields[case.message["lr_policy"]]))


@plants("S122", "solver")
def policy_without_settings(case: Case) -> bytes:
    policy = case.pick(
        [
            'lr_policy: "step"\ngamma: 0.5', 'lr_policy: "step"\nstepsize: 5000', 'lr_policy: "exp"', 'lr_policy: "poly"',
            'lr_policy: "multistep"\ngamma: 0.2', 'lr_policy: "multistep"\nstepvalue: 900', 'lr_policy: "inv"\npower: 0.75',
            'lr_policy: "sigmoid"\ngamma: 0.001', 'lr_policy: "inv"\ngamma: 0.001',
        ]
    )  # fmt: skip
    return _with(case, policy, *_SCHEDULE)


@plants("S123", "solver")
def value_of_the_policy_refused(case: Case) -> bytes:
    policy = case.pick(
        [
            'lr_policy: "step"\ngamma: 0.5\nstepsize: 0', 'lr_policy: "step"\ngamma: 0.5\nstepsize: -100',
            'lr_policy: "sigmoid"\ngamma: 0.01\nstepsize: -5', 'lr_policy: "exp"\ngamma: -0.99', 'lr_policy: "inv"\ngamma: -0.1\npower: 0.5',
            'lr_policy: "step"\ngamma: -0.1\nstepsize: 10', 'lr_policy: "multistep"\ngamma: -0.1\nstepvalue: 10',
        ]
    )  # fmt: skip
    return _with(case, policy, *_SCHEDULE)


@plants("S124", "solver")
def setting_of_another_policy(case: Case) -> bytes:
    policy = case.pick(
        [
            'lr_policy: "fixed"\nstepsize: 100', 'lr_policy: "step"\ngamma: 0.1\nstepsize: 50\nstepvalue: 80', 'lr_policy: "fixed"\npower: 2',
            'lr_policy: "multistep"\ngamma: 0.1\nstepvalue: 60\nstepsize: 10', 'lr_policy: "poly"\npower: 1\ngamma: 0.1',
            'lr_policy: "exp"\ngamma: 0.999\npower: 3',
        ]
    )  # fmt: skip
    return _with(case, policy + "\nmax_iter: 90", "max_iter", *_SCHEDULE)


@plants("S125", "solver")
def rate_of_nothing(case: Case) -> bytes:
    case.need("base_lr" in case.message and case.message["lr_policy"] in ("step", "fixed", "multistep", "inv", "exp"))
    return _with(case, case.pick(["", "base_lr: 0", "base_lr: -0.01", "base_lr: 0.0"]), "base_lr")


@plants("S126", "solver")
def steps_out_of_order(case: Case) -> bytes:
    steps = case.pick([(300, 200), (100, 100), (5, 40, 30), (10, 20, 20, 30), (400, 300, 500)])
    text = "".join(f"stepvalue: {step}\n" for step in steps)
    return _with(case, f'lr_policy: "multistep"\ngamma: 0.1\nmax_iter: 1000\n{text}', "max_iter", *_SCHEDULE)


@plants("S127", "solver")
def step_behind_the_end(case: Case) -> bytes:
    policy = case.pick(
        [
            '"step"\ngamma: 0.1\nstepsize: 2000',
            '"step"\ngamma: 0.5\nstepsize: 1000',
            '"multistep"\ngamma: 0.1\nstepvalue: 500\nstepvalue: 5000',
        ]
    )
    return _with(case, f"lr_policy: {policy}\nmax_iter: 1000", "max_iter", *_SCHEDULE)


@plants("S131", "solver")
def type_misspelt(case: Case) -> bytes:
    case.need("solver_type" not in case.message)
    wrong = case.pick(
        ["sgd", "adam", "ADAM", "Rmsprop", "AdamW", "Momentum", "nesterov", "SGDSolver", "Adagrad", "Sdg"]
    )
    return _with(case, f'type: "{wrong}"', "type")


@plants("S132", "solver")
def type_in_both_forms(case: Case) -> bytes:
    one, two = case.pick([("SGD", "SGD"), ("Nesterov", "NESTEROV"), ("SGD", "ADAM"), ("AdaGrad", "SGD")])
    return _with(case, f'type: "{one}"\nsolver_type: {two}', "type", "solver_type")


@plants("S124", "solver")
def setting_of_another_type(case: Case) -> bytes:
    case.need("solver_type" not in case.message)
    text = case.pick(
        [
            'type: "SGD"\ndelta: 0.001', 'type: "Adam"\nmomentum: 0.9\nrms_decay: 0.9', 'type: "Nesterov"\nmomentum2: 0.99',
            "rms_decay: 0.95", "momentum2: 0.999",
        ]
    )  # fmt: skip
    return _with(case, text, "type", "momentum2", "rms_decay", "delta", *(["momentum"] if "momentum:" in text else []))


@plants("S134", "solver")
def momentum_where_none_can_be(case: Case) -> bytes:
    text = case.pick(
        [
            'type: "AdaGrad"\nmomentum: 0.9', 'type: "RMSProp"\nmomentum: 0.5\nrms_decay: 0.9', 'type: "RMSProp"\nrms_decay: 1',
            'type: "RMSProp"\nrms_decay: -0.5', "solver_type: ADAGRAD\nmomentum: 0.95", 'type: "RMSProp"\nrms_decay: 1.5',
        ]
    )  # fmt: skip
    return _with(case, text, "type", "solver_type", "momentum", "rms_decay", "momentum2", "delta")


@plants("S135", "solver")
def update_that_cannot_work(case: Case) -> bytes:
    text = case.pick(
        [
            "momentum: 1", "momentum: 9", "momentum: -0.9", 'type: "Adam"\nmomentum: 0.9\nmomentum2: 1', 'type: "Adam"\nmomentum: 1.1',
            'type: "Adam"\nmomentum: 0.9\nmomentum2: -0.1', 'type: "Adam"\nmomentum: 0.9\ndelta: 0', 'type: "AdaDelta"\nmomentum: 0.95\ndelta: 0',
            'type: "AdaGrad"\ndelta: -1', 'type: "RMSProp"\nrms_decay: 0.9\ndelta: 0', 'type: "Nesterov"\nmomentum: 1.0',
        ]
    )  # fmt: skip
    return _with(case, text, "type", "solver_type", "momentum", "rms_decay", "momentum2", "delta")


@plants("S136", "solver")
def momentum_lost(case: Case) -> bytes:
    text = case.pick(
        ['type: "Adam"', 'type: "AdaDelta"\ndelta: 1e-6', "solver_type: ADAM", 'type: "Adam"\nmomentum2: 0.99']
    )
    return _with(case, text, "type", "solver_type", "momentum", "rms_decay", "momentum2", "delta")


@plants("S137", "solver")
def regularization_misspelt(case: Case) -> bytes:
    word = case.pick(["l2", "l1", "L3", "ridge", "weight_decay", "None", "L2 "])
    return _with(case, f'weight_decay: 0.0005\nregularization_type: "{word}"', "weight_decay", "regularization_type")


@plants("S138", "solver")
def decay_that_grows(case: Case) -> bytes:
    text = case.pick(
        [
            "weight_decay: -0.0005",
            "weight_decay: 500\nbase_lr: 0.1",
            "weight_decay: 5000\nbase_lr: 0.01",
            "weight_decay: -1",
        ]
    )
    return _with(
        case,
        text,
        "weight_decay",
        "regularization_type",
        *(["base_lr"] if "base_lr" in text else []),
        "type",
        "solver_type",
    )


@plants("E122", "solver")
def one_of_several_nets(case: Case) -> bytes:
    case.need("net" in case.message and case.unit.root)
    folders: dict[str, list[str]] = {}
    for folder, _, files in os.walk(str(case.unit.root)):
        for name in files:
            folders.setdefault(name, []).append(folder)
    here = os.path.dirname(case.file.path)
    several = [
        name
        for name, places in folders.items()
        if name.endswith("train_val.prototxt") and len(places) > 1 and not any(here.startswith(place) for place in places)
    ]
    return case.set(case.message, "net", "/scratch/somewhere/else/" + case.pick(several))


@plants("S128", "solver")
def rate_that_ends(case: Case) -> bytes:
    policy = case.pick(
        [
            'lr_policy: "step"\ngamma: 0\nstepsize: 100',
            'lr_policy: "exp"\ngamma: 0.5',
            'lr_policy: "exp"\ngamma: 1.5',
            'lr_policy: "multistep"\ngamma: 0\nstepvalue: 50',
            'lr_policy: "step"\ngamma: 1e-9\nstepsize: 20',
        ]
    )
    return _with(case, f"base_lr: 0.001\n{policy}\nmax_iter: 5000", "base_lr", "max_iter", *_SCHEDULE)


@plants("S129", "solver")
def rate_that_grows(case: Case) -> bytes:
    policy = case.pick(['"step"\ngamma: 10\nstepsize: 400', '"multistep"\ngamma: 2\nstepvalue: 300', '"exp"\ngamma: 1.001'])
    return _with(case, f"lr_policy: {policy}\nmax_iter: 1000", "max_iter", *_SCHEDULE)


@plants("S141", "solver")
def nothing_kept(case: Case) -> bytes:
    text = case.pick(
        [
            "snapshot_after_train: false\nsnapshot: 0",
            "snapshot_after_train: false",
            "snapshot: 100000\nmax_iter: 99999",
            "snapshot_after_train: false\nsnapshot: 70000\nmax_iter: 50000",
        ]
    )
    return _with(case, text, "snapshot", "snapshot_after_train", *(["max_iter"] if "max_iter" in text else []))


@plants("S142", "solver")
def nothing_shown(case: Case) -> bytes:
    case.need("debug_info" not in case.message)
    text = case.pick(["display: 0", "display: 5000\nmax_iter: 4000"])
    return _with(case, text, "display", *(["max_iter"] if "max_iter" in text else []))


@plants("S143", "solver")
def debugging_for_ever(case: Case) -> bytes:
    text = case.pick(["display: 1\nmax_iter: 5000", "display: 20\nmax_iter: 100000"])
    return _with(case, f"debug_info: true\n{text}", "debug_info", "display", "max_iter")


@plants("S144", "solver")
def decay_of_another_size(case: Case) -> bytes:
    case.need(case.message.get("type", "SGD") == "SGD" and "solver_type" not in case.message and case.message["max_iter"] > 0)
    text = case.pick(["weight_decay: 0.5", "weight_decay: 0.1", "weight_decay: 5"])
    return _with(case, f"base_lr: 0.001\n{text}", "weight_decay", "base_lr", "regularization_type")


@plants("S145", "solver", select=("S145",))
def graphics_card(case: Case) -> bytes:
    return _with(case, "solver_mode: " + case.pick(["GPU", "1"]), "solver_mode")


@plants("G101", "solver")
def bound_taken_out(case: Case) -> bytes:
    return _with(case, case.pick(["", "clip_gradients: -1", "clip_gradients: 0"]), "clip_gradients")


@plants("G102", "solver")
def rate_too_high(case: Case) -> bytes:
    losses = case.job.train.net.losses if case.job.train is not None else []
    case.need(losses and all(loss.layer.type == "SoftmaxWithLoss" for loss in losses))
    case.need(case.message.get("type", "SGD") == "SGD" and "solver_type" not in case.message)
    return _with(case, "base_lr: " + case.pick(["100", "20", "1000"]), "base_lr")


@plants("S139", "solver")
def average_of_the_other_share(case: Case) -> bytes:
    kind, name = case.pick([("RMSProp", "rms_decay"), ("Adam", "momentum2")])
    share = case.pick(["0.1", "0.05", "0.02", "0.01", "0.001"])
    return _with(case, f'type: "{kind}"\n{name}: {share}', "type", "solver_type", "rms_decay", "momentum2", "momentum")


@plants("S139", "solver")
def share_of_the_solvers_own_type(case: Case) -> bytes:
    name = {"RMSProp": "rms_decay", "Adam": "momentum2"}.get(case.message["type"], "")
    case.need(name)
    return _with(case, f"{name}: {case.pick(['0.1', '0.02', '0.001'])}", name)
