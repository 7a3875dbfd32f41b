"""Nets that are cut down for a simulation: their values, gradients and verdicts are those of the whole nets."""

from __future__ import annotations

import json

import pytest

np = pytest.importorskip("numpy", reason="the simulator needs numpy")

from harness import SOLVER  # noqa: E402

from caffe_lint.engine.files_in_memory import Files  # noqa: E402
from caffe_lint.net.job import Job, Nets, SolverFile  # noqa: E402
from caffe_lint.proto.schema import caffe_schema  # noqa: E402
from caffe_lint.report.simulation_text import as_json, as_text  # noqa: E402
from caffe_lint.simulation import simulating  # noqa: E402
from caffe_lint.simulation.cutting import Cut, agreeing, first_iteration, smaller  # noqa: E402
from caffe_lint.simulation.made_up_data import MadeUpData  # noqa: E402
from caffe_lint.simulation.outcome import Judgement, Outcome  # noqa: E402
from caffe_lint.simulation.simulating import SPEED, Plan, simulate  # noqa: E402
from caffe_lint.simulation.training_run import Course, run  # noqa: E402
from caffe_lint.stability.signal.training import Training, training_of  # noqa: E402
from caffe_lint.stability.verdict.simulated import Simulated  # noqa: E402
from caffe_lint.stability.verdict.verdict import Verdict  # noqa: E402

NORMAL = 'data_filler { type: "gaussian" std: 1 }'
DATA = f'layer {{ name: "d" type: "DummyData" top: "x" dummy_data_param {{ shape {{ dim: 8 dim: 3 dim: 56 dim: 56 }} {NORMAL} }} }}'
LABELS = 'layer { name: "e" type: "DummyData" top: "t" dummy_data_param { shape { dim: 8 } data_filler { value: 3 } } }'
DATA += LABELS


def conv(name: str, bottom: str, outputs: int, more: str = 'weight_filler { type: "gaussian" std: 0.05 }') -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{ num_output: {outputs}'
        f' kernel_size: 3 pad: 1 stride: 3 {more} }} }} layer {{ name: "r{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}'
    )


def dense(name: str, bottom: str, outputs: int, filler: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"'
        f" inner_product_param {{ num_output: {outputs} weight_filler {{ {filler} }} }} }}"
    )


LOSS = 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "out" bottom: "t" top: "l" }'
GAUSSIAN, XAVIER = 'type: "gaussian" std: 0.01', 'type: "xavier"'
NET = DATA + conv("a", "x", 32) + conv("b", "a", 32, f"weight_filler {{ {XAVIER} }}") + dense("h", "b", 64, GAUSSIAN)
NET += dense("out", "h", 10, XAVIER) + LOSS


def job_of(net: str, solver: str = "") -> Job:
    files = Files(caffe_schema(), "bvlc")
    files.add("net.prototxt", net.encode())
    base = SOLVER.replace("clip_gradients: 10\n", "") if "clip_gradients" in solver else SOLVER
    files.add("solver.prototxt", (base + solver).encode())
    return Nets(files.get, None, files.given).job(SolverFile(files.get("solver.prototxt")), None)


def training(net: str, solver: str = "") -> Training:
    found = training_of(job_of(net, solver))
    assert isinstance(found, Training)
    return found


def cut_of(whole: Training, image: int, width: int) -> Cut:
    found = smaller(whole.net, image, width)
    assert found is not None
    first = first_iteration(whole)
    assert first is not None
    agreed = agreeing(whole, first, found)
    assert agreed is not None
    return agreed


def course(whole: Training, cut: Cut, steps: int = 1, seed: int = 0) -> Course:
    made = MadeUpData(cut.net, whole.context.assumed, np.random.default_rng(seed), whole=8, items=8)
    return run(cut, whole.solver, made.batch, np.random.default_rng(seed + 100), steps, lambda done: None)


def mean_sizes(whole: Training, cut: Cut) -> dict[str, float]:
    """The mean absolute value of each layer's top before the first step, over some seeds."""
    found: dict[str, float] = {}
    for seed in range(4):
        for line in course(whole, cut, 1, seed).iterations[0].passes[0][0]:
            if line.role == "top":
                found[line.layer] = found.get(line.layer, 0.0) + line.mean_abs / 4
    return found


@pytest.mark.parametrize(("image", "width"), [(2, 1), (1, 2), (1, 4), (2, 2)])
def test_values_of_a_cut_net_are_as_large_as_in_the_whole_one(image: int, width: int) -> None:
    whole = training(NET)
    found = [mean_sizes(whole, each) for each in (Cut(whole.net), cut_of(whole, image, width))]
    for layer in ("a", "b", "h", "out"):
        assert found[1][layer] == pytest.approx(found[0][layer], rel=0.3), layer


def norm(found: Course) -> float:
    return found.iterations[0].passes[0][2].l2_diff


@pytest.mark.parametrize(("image", "width"), [(1, 2), (1, 4), (2, 2)])
def test_the_norm_of_all_gradients_is_that_of_the_whole_net(image: int, width: int) -> None:
    whole = training(NET)
    cut = cut_of(whole, image, width)
    norms = [[norm(course(whole, each, seed=seed)) for seed in range(3)] for each in (Cut(whole.net), cut)]
    assert sorted(norms[1])[1] == pytest.approx(sorted(norms[0])[1], rel=0.4)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_step_changes_the_loss_of_a_cut_net_as_much(kind: str) -> None:
    whole = training(NET, f'type: "{kind}"')
    drops = []
    for each in (Cut(whole.net), cut_of(whole, 1, 4)):
        found = [course(whole, each, 6, seed) for seed in range(2)]
        drops.append(sum(one.before - one.after for one in found) / 2)
    assert drops[0] > 0
    assert drops[1] == pytest.approx(drops[0], rel=0.5)


def test_the_outputs_that_a_loss_reads_are_never_cut() -> None:
    whole = training(NET)
    cut = cut_of(whole, 1, 4)
    assert [layer.tops[0].shape for layer in cut.net.layers if layer.name in ("a", "h", "out")] == [
        (8, 8, 19, 19),
        (8, 16),
        (8, 10),
    ]


def test_a_pooling_over_the_whole_map_stays_one() -> None:
    pool = 'layer { name: "p" type: "Pooling" bottom: "b" top: "p" pooling_param { pool: AVE kernel_size: 7 } }'
    whole = training(DATA + conv("a", "x", 16) + conv("b", "a", 16) + pool + dense("out", "p", 10, XAVIER) + LOSS)
    cut = cut_of(whole, 2, 1)
    assert next(layer.tops[0].shape for layer in cut.net.layers if layer.name == "p") == (8, 16, 1, 1)


def test_a_convolution_over_the_whole_map_stays_one() -> None:
    full = 'layer { name: "f" type: "Convolution" bottom: "b" top: "f" convolution_param { num_output: 32 kernel_size: 7 weight_filler { type: "xavier" } } }'
    whole = training(DATA + conv("a", "x", 16) + conv("b", "a", 16) + full + dense("out", "f", 10, XAVIER) + LOSS)
    cut = cut_of(whole, 2, 1)
    assert next(layer.tops[0].shape for layer in cut.net.layers if layer.name == "f") == (8, 32, 1, 1)
    assert list(cut.gains.values()) == [pytest.approx(7 / 4)]


def test_a_window_is_never_larger_than_its_map() -> None:
    wide = 'layer { name: "f" type: "Convolution" bottom: "b" top: "f" convolution_param { num_output: 32 kernel_size: 3 dilation: 2 weight_filler { type: "xavier" } } }'
    whole = training(DATA + conv("a", "x", 16) + conv("b", "a", 16) + wide + dense("out", "f", 10, XAVIER) + LOSS)
    cut = smaller(whole.net, 2, 1)
    assert cut is not None
    found = next(layer for layer in cut.net.layers if layer.name == "f")
    assert (found.bottoms[0].shape, found.params[0].shape) == ((8, 16, 4, 4), (32, 16, 4, 4))
    assert list(cut.gains.values()) == [pytest.approx(3 / 4), pytest.approx(3.0)]


def test_gains_level_what_narrow_layers_make_larger() -> None:
    normalised = 'layer { name: "n" type: "Normalize" bottom: "b" top: "n" norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } } }'
    whole = training(DATA + conv("a", "x", 64) + conv("b", "a", 256) + normalised + dense("h", "n", 64, XAVIER) + dense("out", "h", 10, XAVIER) + LOSS)
    cut = cut_of(whole, 1, 16)
    param = next(layer.params[0] for layer in cut.net.layers if layer.name == "n")
    assert cut.gains[param] == pytest.approx(1 / 4, rel=0.05)  # unit vectors of 16 channels have values four times as large as of 256
    found = [mean_sizes(whole, each) for each in (Cut(whole.net), cut)]
    for layer in ("a", "b", "n", "h", "out"):
        assert found[1][layer] == pytest.approx(found[0][layer], rel=0.4), layer


POOL = "pooling_param { kernel_size: 2 stride: 2 }"


def test_sides_stay_divisible_where_maps_are_enlarged_again() -> None:
    net = DATA.replace("dim: 56", "dim: 144").replace("shape { dim: 8 }", "shape { dim: 8 dim: 1 dim: 144 dim: 144 }")
    for bottom, top in ("xp", "pq", "qr", "rs"):
        net += f'layer {{ name: "{top}" type: "Pooling" bottom: "{bottom}" top: "{top}" {POOL} }}'
    net += (
        'layer { name: "u" type: "Deconvolution" bottom: "s" top: "u" convolution_param { num_output: 10 kernel_size: 16 stride: 16 } }'
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "u" bottom: "t" top: "l" }'
    )
    cut = smaller(training(net).net, 4, 1)
    assert cut is not None
    assert [layer.tops[0].shape for layer in cut.net.layers[:2]] == [(8, 3, 48, 48), (8, 1, 48, 48)]


SEGNET = """
layer { name: "d" type: "DenseImageData" top: "x" top: "t" dense_image_data_param { source: "list" batch_size: 4 } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" top: "p_mask" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "q" type: "Pooling" bottom: "p" top: "q" top: "q_mask" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "v" type: "Upsample" bottom: "q" bottom: "q_mask" top: "v" upsample_param { scale: 2 upsample_h: 45 upsample_w: 60 } }
layer { name: "u" type: "Upsample" bottom: "v" bottom: "p_mask" top: "u" upsample_param { scale: 2 } }
layer { name: "o" type: "Convolution" bottom: "u" top: "o" convolution_param { num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "l" type: "SoftmaxWithLoss" bottom: "o" bottom: "t" top: "l" }
"""


def test_images_have_the_size_that_leads_to_the_maps_that_unpooling_writes() -> None:
    whole = training(SEGNET)
    assert [layer.tops[0].shape for layer in whole.net.layers if layer.name in ("d", "u")] == [(4, 3, 90, 120), (4, 16, 90, 120)]
    cut = smaller(whole.net, 2, 1)
    assert cut is not None
    assert [layer.tops[0].shape for layer in cut.net.layers if layer.name in ("d", "v", "u")] == [(4, 3, 46, 64), (4, 16, 23, 32), (4, 16, 46, 64)]
    assert simulate(job_of(SEGNET), Plan(steps=2, seeds=1)).word in ("learns", "stalls")


def test_a_batch_of_one_item_stays_one() -> None:
    net = NET.replace("dim: 8", "dim: 1")
    free = simulate(job_of(net), Plan(steps=3, seeds=1))
    cut = simulate(job_of(net), Plan(steps=3, seeds=1, budget=free.multiply_adds / SPEED / 3))
    assert cut.part == 1.0
    assert cut.multiply_adds < free.multiply_adds / 3


def test_a_loss_that_adds_up_positions_gets_a_larger_weight() -> None:
    target = DATA.replace("shape { dim: 8 }", "shape { dim: 8 dim: 2 dim: 19 dim: 19 }")
    loss = 'layer { name: "l" type: "EuclideanLoss" bottom: "a" bottom: "t" top: "l" }'
    whole = training(target + conv("a", "x", 2) + loss)
    assert list(cut_of(whole, 2, 1).losses.values()) == [pytest.approx(3.61)]


def test_what_does_not_fit_is_not_cut() -> None:
    sliced = 'layer { name: "s" type: "Slice" bottom: "a" top: "s" top: "u" slice_param { slice_point: 30 } } layer { name: "q" type: "Silence" bottom: "u" }'
    whole = training(DATA + conv("a", "x", 32) + sliced + dense("out", "s", 10, XAVIER) + LOSS)
    assert smaller(whole.net, 1, 2) is None


def test_a_net_over_the_budget_is_cut_and_says_so() -> None:
    job = job_of(NET)
    free = simulate(job, Plan(seeds=1))
    cut = simulate(job, Plan(seeds=1, budget=free.multiply_adds / SPEED / 12))
    assert free.cut == ()
    assert cut.word == free.word
    assert any("layers to 1/" in text for text in cut.cut)
    assert any("items in a batch" in text for text in cut.cut)
    assert 0 < cut.multiply_adds < free.multiply_adds / 12


@pytest.mark.parametrize(
    ("number", "word", "of_cut", "of_signal", "told", "p"),
    [
        ("p_diverges", "diverges", 0.98, 0.9, "diverges", 0.9545),
        ("p_diverges", "diverges", 0.98, 0.01, "cannot tell", None),
        ("p_diverges", "diverges", 0.8, 0.01, "learns", 0.1673),
        ("p_diverges", "learns", 0.2, 0.99, "diverges", 0.8326),
        ("p_diverges", "learns", 0.2, 0.9, "cannot tell", None),
        ("p_diverges", "learns", 0.05, 0.3, "learns", 0.1306),
        ("p_stalls", "stalls", 0.8, 0.6, "stalls", 0.710),
        ("p_stalls", "stalls", 0.51, 0.1, "learns", 0.2537),
        ("p_stalls", "learns", 0.3, 0.9, "stalls", 0.6626),
        ("p_stalls", "learns", 0.1, 0.5, "learns", 0.25),
    ],
)
def test_a_cut_net_is_weighed_with_the_signal_of_the_whole_one(
    monkeypatch: pytest.MonkeyPatch, number: str, word: str, of_cut: float, of_signal: float, told: str, p: float | None
) -> None:
    judgement = Judgement(word, 0.05, 0.05)._replace(**{number: of_cut})  # type: ignore[arg-type]
    verdict = Verdict("learns", 0.05, 0.05)._replace(**{number: of_signal})  # type: ignore[arg-type]
    verdict = verdict._replace(word="diverges" if verdict.p_diverges > 0.5 else "learns")
    monkeypatch.setattr(simulating, "judged", lambda courses, length: judgement)
    monkeypatch.setattr(simulating, "verdict_of", lambda signal: verdict)
    whole = simulate(job_of(NET), Plan(steps=2, seeds=1))
    assert (whole.word, getattr(whole, number)) == (word, of_cut)
    found = simulate(job_of(NET), Plan(steps=2, seeds=1, budget=whole.multiply_adds / SPEED / 8))
    assert any("layers to 1/" in text for text in found.cut)
    assert found.word == told
    assert getattr(found, number) == (pytest.approx(p, abs=1e-3) if p is not None else None)
    if told == "cannot tell":
        assert found.cannot_tell is not None
        assert found.cannot_tell.cause == "over budget"
    else:
        assert (found.alone, found.is_outweighed) == (word, told != word)
        assert ("though what was simulated" in as_text(found, Plan())) == (told != word)
        assert json.loads(as_json(found, Plan()))["alone"] == (word if told != word else None)
        assert found.is_confirmed == (told == word and verdict.word == "diverges")


def test_more_seeds_are_run_where_the_static_signal_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(NET.replace('top: "l" }', 'top: "l" loss_weight: 1e12 }'), "clip_gradients: 1e30")
    for agrees, seeds in ((True, 1), (False, 2)):
        monkeypatch.setattr(simulating, "_says_same", lambda training, word, agrees=agrees: agrees)
        found = simulate(job, Plan(steps=5, seeds=2))
        assert (found.word, len(found.courses)) == ("diverges", seeds)


def test_every_seed_is_run_if_asked_for() -> None:
    job = job_of(NET)
    found = simulate(job, Plan(steps=5, seeds=2, all_seeds=True, first_seed=7))
    assert len(found.courses) == 2
    assert found.courses[0].losses != simulate(job, Plan(steps=5, seeds=2, all_seeds=True)).courses[0].losses


def test_one_pass_stands_for_all_of_an_iteration() -> None:
    job = job_of(NET, "iter_size: 4 clip_gradients: 0.04")
    found = simulate(job, Plan(steps=5, seeds=1))
    assert [len(each.passes) for each in found.courses[0].iterations] == [1] * 5
    assert any("iter_size" in text for text in found.cut)
    alike = simulate(job_of(NET, "clip_gradients: 0.01"), Plan(steps=5, seeds=1))
    # Caffe clips the sum of the passes, before it divides by their number.
    norms = [run.courses[0].iterations[0].clipping for run in (found, alike)]
    assert norms[0] is not None
    assert norms[1] is not None
    assert norms[0][0] == pytest.approx(4 * norms[1][0], rel=0.3)
    whole = simulate(job, Plan(steps=1, seeds=1, batch=None))
    assert len(whole.courses[0].iterations[0].passes) == 4


# -- losses without a signal model, groups, confidence -------------------------------------------------------------

BOXES = """
layer { name: "d" type: "DummyData" top: "x" top: "boxes" dummy_data_param {
  shape { dim: 8 dim: 3 dim: 56 dim: 56 } shape { dim: 1 dim: 1 dim: 4 dim: 8 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "uniform" min: 0.1 max: 0.9 } } }
"""


def head(name: str, outputs: int) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "b" top: "{name}" convolution_param {{ num_output: {outputs} kernel_size: 1'
        f' weight_filler {{ type: "xavier" }} }} }}'
        f'layer {{ name: "{name}_p" type: "Permute" bottom: "{name}" top: "{name}_p" permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}'
        f'layer {{ name: "{name}_f" type: "Flatten" bottom: "{name}_p" top: "{name}_f" }}'
    )


DETECTOR = BOXES + conv("a", "x", 32) + conv("b", "a", 32) + head("loc", 4) + head("conf", 3)
DETECTOR += 'layer { name: "prior" type: "PriorBox" bottom: "b" bottom: "x" top: "prior" prior_box_param { min_size: 14 } }'
DETECTOR += (
    'layer { name: "l" type: "MultiBoxLoss" bottom: "loc_f" bottom: "conf_f" bottom: "prior" bottom: "boxes" top: "l"'
    " propagate_down: [true, true, false, false] multibox_loss_param { num_classes: 3 } }"
)


def test_a_net_is_cut_under_a_loss_without_a_signal_model() -> None:
    whole = training(DETECTOR)
    assert whole.basis.unmodelled
    cut = cut_of(whole, 1, 4)
    assert cut.net.layers[1].tops[0].shape == (8, 8, 19, 19)


def test_outputs_of_which_only_the_shape_matters_are_cut() -> None:
    read_by_prior = head("c", 16).replace('"c_p"', '"c_q"').replace('bottom: "b"', 'bottom: "a"')
    prior = 'layer { name: "prior2" type: "PriorBox" bottom: "c" bottom: "x" top: "prior2" prior_box_param { min_size: 14 } }'
    silence = 'layer { name: "s" type: "Silence" bottom: "prior2" bottom: "c_f" }'
    whole = training(DETECTOR + read_by_prior.replace('bottom: "c_p"', 'bottom: "c_q"') + dense("e", "c_f", 16, XAVIER) + prior + silence)
    found = smaller(whole.net, 1, 2)
    assert found is not None
    assert next(layer.tops[0].shape for layer in found.net.layers if layer.name == "b") == (8, 16, 7, 7)


def test_outputs_are_cut_to_multiples_of_the_groups() -> None:
    net = DATA + conv("a", "x", 48) + conv("b", "a", 96, 'group: 3 weight_filler { type: "xavier" }')
    found = smaller(training(net + dense("out", "b", 10, XAVIER) + LOSS).net, 1, 4)
    assert found is not None
    assert [layer.tops[0].shape[1] for layer in found.net.layers if layer.name in ("a", "b")] == [12, 24]  # type: ignore[index]


def test_a_cut_net_alone_gives_no_high_confidence() -> None:
    found = Outcome("diverges", p_diverges=0.97).unconfirmed()
    assert (found.p_diverges or 0) < 0.9
    assert not found.is_confirmed
    assert not Simulated("diverges", p_diverges=0.85, is_confirmed=False).is_sure
    assert Simulated("diverges", p_diverges=0.85).is_sure
    assert Outcome("learns", p_diverges=0.02).unconfirmed().p_diverges == 0.02


IMAGES = 'layer { name: "d" type: "ImageData" top: "x" top: "t" image_data_param { source: "a" batch_size: 8 new_height: 56 new_width: 56 } }'


@pytest.mark.parametrize(("data", "of_cut", "of_whole"), [(DATA, 0.955, 0.98), (IMAGES, 0.85, 0.98)])
def test_of_a_cut_net_confidence_needs_known_data(
    monkeypatch: pytest.MonkeyPatch, data: str, of_cut: float, of_whole: float
) -> None:
    monkeypatch.setattr(simulating, "judged", lambda courses, length: Judgement("diverges", 0.98, 0.0))
    monkeypatch.setattr(simulating, "verdict_of", lambda signal: Verdict("diverges", 0.9, 0.0))
    job = job_of(NET.replace(DATA, data))
    whole = simulate(job, Plan(steps=2, seeds=1))
    assert (whole.cut, whole.p_diverges, whole.is_confirmed) == ((), of_whole, True)
    found = simulate(job, Plan(steps=2, seeds=1, budget=whole.multiply_adds / SPEED / 8))
    assert any("layers to 1/" in text for text in found.cut)
    assert found.p_diverges == pytest.approx(of_cut, abs=1e-3)
    assert found.is_confirmed == (data == DATA)
