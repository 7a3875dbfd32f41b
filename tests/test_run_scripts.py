"""Scripts that start trainings: what is read from their text, and which solver they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from counted_work import assert_linear

from caffe_lint.source import run_scripts
from caffe_lint.source.caffe_commands import ALL_GPUS
from caffe_lint.source.repository_files import forget_repositories
from caffe_lint.source.run_scripts import forget_runs, runs_of_solver

SOLVER = "models/net/solver.prototxt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one solver; nothing of it is known from before."""
    (tmp_path / ".git").mkdir()
    write(tmp_path, SOLVER, 'net: "net.prototxt"\n')
    forget()
    return tmp_path


def forget() -> None:
    forget_repositories()
    forget_runs()


def write(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(root: Path, solver: str = SOLVER) -> list[tuple[str, int, bool | None, int]]:
    """The trainings of a solver: script, line, whether weights are loaded, and the number of GPUs."""
    forget()
    return [
        (os.path.relpath(run.script, root), run.line, run.loads, run.gpus) for run in runs_of_solver(str(root / solver)).runs
    ]


def said(root: Path, script: str, text: str, solver: str = SOLVER) -> list[tuple[bool | None, int]]:
    """What a script says of the solver."""
    write(root, script, text)
    return [(loads, gpus) for _, _, loads, gpus in found(root, solver)]


@pytest.mark.parametrize(
    ("command", "loads", "gpus"),
    [
        ("caffe train --solver=models/net/solver.prototxt", False, 0),
        ("caffe train --solver models/net/solver.prototxt", False, 0),
        ("caffe train -solver models/net/solver.prototxt -weights x.caffemodel", True, 0),
        ("caffe train -solver=models/net/solver.prototxt --weights=x.caffemodel", True, 0),
        ("./build/tools/caffe.bin train --solver='models/net/solver.prototxt' --weights='x y.caffemodel'", True, 0),
        ("$CAFFE_ROOT/build/tools/caffe train --solver=models/net/solver.prototxt $@", False, 0),
        ("${TOOLS}/caffe train --solver=models/net/solver.prototxt --snapshot=net_iter_10.solverstate", True, 0),
        ("$CAFFE train -gpu 0 -solver models/net/solver.prototxt", False, 1),
        ("nohup caffe train -solver models/net/solver.prototxt -gpu 0,1 2>&1 | tee train.log &", False, 2),
        ("GLOG_logtostderr=1 caffe train --gpu=all --solver=models/net/solver.prototxt > train.log", False, ALL_GPUS),
        ("caffe train --solver=models/net/solver.prototxt --weights=", False, 0),
        ("caffe train --solver=models/net/solver.prototxt --weights=$1", True, 0),
        ("caffe train --solver=models/net/solver.prototxt $EXTRA", None, 0),
        ("caffe train --solver=models/net/solver.prototxt -gpu $GPU -log_dir $LOGS --stage=$STAGE", False, 0),
        ("caffe train --solver=models/net/solver.prototxt  # --weights=x.caffemodel", False, 0),
        ("time python tools/train_net.py --gpu $1 --solver models/net/solver.prototxt --weights x.caffemodel", True, 0),
        ("./build/tools/train_net.bin models/net/solver.prototxt", False, 0),
        ("./build/tools/train_net models/net/solver.prototxt net_iter_100", True, 0),
        ("finetune_net.bin models/net/solver.prototxt vgg.caffemodel", True, 0),
        ("nohup sh -c 'cd models/net; caffe train --solver=solver.prototxt --weights=x' &", True, 0),
        ('ssh gpu1 "caffe train --solver=/data/work/models/net/solver.prototxt -gpu 0,1"', False, 2),
        ("docker run -v $PWD:/w bvlc/caffe:gpu caffe train --solver=/w/models/net/solver.prototxt", False, 0),
        ("mpirun -n 2 ./caffe-fast_rcnn/build/tools/caffe train --solver models/net/solver.prototxt", False, 0),
    ],
)
def test_commands(root: Path, command: str, loads: bool | None, gpus: int) -> None:
    assert said(root, "train.sh", f"#!/bin/sh\n{command}\n") == [(loads, gpus)]


@pytest.mark.parametrize(
    "command",
    [
        "# caffe train --solver=models/net/solver.prototxt",
        "caffe test --model=models/net/train_val.prototxt --weights=x.caffemodel",
        "caffe time -model models/net/solver.prototxt",
        "python train.py --solver models/net/solver.prototxt",
        "caffe train --solver=$1",
        "caffe train --solver=models/net/other_solver.prototxt",
        "cat models/net/solver.prototxt",
        "echo 'caffe train --solver=models/net/solver.prototxt'",
        "echo caffe train --solver=models/net/solver.prototxt",
        "grep train_net models/net/solver.prototxt",
    ],
)
def test_commands_that_say_nothing_of_the_solver(root: Path, command: str) -> None:
    assert said(root, "train.sh", command) == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("WEIGHTS=vgg.caffemodel\nSOLVER=models/net/solver.prototxt\ncaffe train --solver $SOLVER --weights $WEIGHTS", [True]),
        ('export NET="net"\ncaffe train -solver "models/${NET}/solver.prototxt"', [False]),
        ("NET=other\nNET=net\ncaffe train -solver models/$NET/solver.prototxt", [False]),
        ("ARGS='--weights x.caffemodel'\ncaffe train -solver models/net/solver.prototxt $ARGS", [True]),
        ("ARGS=\nif [ $1 ]; then\n ARGS='--weights x'\nfi\ncaffe train -solver models/net/solver.prototxt $ARGS", [False, True]),
        ("[ -f x ] && ARGS='--weights x' || ARGS=\ncaffe train -solver models/net/solver.prototxt $ARGS", [True, False]),
        (
            "case $1 in\n scratch) ARGS= ;;\n tune)\n  ARGS='--weights x'\n  ;;\nesac\n"
            "caffe train -solver models/net/solver.prototxt $ARGS",
            [False, True],
        ),
        ("for NET in a net; do caffe train -solver models/$NET/solver.prototxt; done", [False]),
        ("caffe train \\\n  -solver models/net/solver.prototxt \\\n  -weights x.caffemodel \\\n  -gpu 0", [True]),
        ("cd models/net && caffe train -solver solver.prototxt", [False]),
        ("cd $CAFFE_ROOT\ncaffe train -solver models/net/solver.prototxt", [False]),
        ("(cd elsewhere; make)\ncaffe train -solver models/net/solver.prototxt", [False]),
        ("caffe train -solver ${SOLVER:-models/net/solver.prototxt}", [False]),
        ("SOLVER=${1:-models/net/solver.prototxt}\ncaffe train -solver $SOLVER", [False]),
    ],
)
def test_variables_folders_and_branches_of_shell_scripts(root: Path, script: str, expected: list[bool]) -> None:
    assert [loads for loads, _ in said(root, "train.sh", script)] == expected


@pytest.mark.parametrize(
    "start",
    [
        'DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
        "DIR=$(dirname $0)",
        "DIR=`dirname $0`",
        'DIR=$(dirname "$(readlink -f "$0")")/../net',
    ],
)
def test_the_folder_of_the_script(root: Path, start: str) -> None:
    write(root, "models/other/solver.prototxt")
    script = f"{start}\ncaffe train --solver=$DIR/solver.prototxt\n"
    assert [loads for loads, _ in said(root, "models/net/train.sh", script)] == [False]
    assert found(root, "models/other/solver.prototxt") == []


FASTER_RCNN = """\
#!/bin/bash
# Usage: ./experiments/scripts/end2end.sh GPU NET DATASET [options]
set -x
set -e
GPU_ID=$1
NET=$2
NET_lc=${NET,,}
DATASET=$3
array=( $@ )
len=${#array[@]}
EXTRA_ARGS=${array[@]:3:$len}

case $DATASET in
  pascal_voc)
    TRAIN_IMDB="voc_2007_trainval"
    PT_DIR="pascal_voc"
    ITERS=70000
    ;;
  coco)
    TRAIN_IMDB="coco_2014_train"
    PT_DIR="coco"
    ITERS=490000
    ;;
  *)
    echo "No dataset given"
    exit
    ;;
esac

LOG="experiments/logs/end2end_${NET}_`date +'%Y-%m-%d_%H-%M-%S'`.txt"
exec &> >(tee -a "$LOG")
time ./tools/train_net.py --gpu ${GPU_ID} \\
  --solver models/${PT_DIR}/${NET}/end2end/solver.prototxt \\
  --weights data/imagenet_models/${NET}.v2.caffemodel \\
  --imdb ${TRAIN_IMDB} \\
  --iters ${ITERS} \\
  ${EXTRA_ARGS}
"""


def test_a_script_in_the_style_of_faster_rcnn(root: Path) -> None:
    for solver in ("pascal_voc/VGG16/end2end", "coco/ZF/end2end", "other/ZF/end2end", "coco/ZF/stage1"):
        write(root, f"models/{solver}/solver.prototxt")
    write(root, "experiments/scripts/end2end.sh", FASTER_RCNN)
    expected = [("experiments/scripts/end2end.sh", 32, True, 0)]
    assert found(root, "models/pascal_voc/VGG16/end2end/solver.prototxt") == expected
    assert found(root, "models/coco/ZF/end2end/solver.prototxt") == expected
    assert found(root, "models/other/ZF/end2end/solver.prototxt") == []
    assert found(root, "models/coco/ZF/stage1/solver.prototxt") == []


def test_a_recipe_line_has_a_shell_of_its_own(root: Path) -> None:
    assert said(root, "Makefile", "train:\n\tcd models/net\n\tcaffe train -solver solver.prototxt\n") == []
    assert said(root, "Makefile", "train:\n\tcd models/net && caffe train -solver solver.prototxt\n") == [(False, 0)]


def test_makefiles_and_batch_files(root: Path) -> None:
    make = "SOLVER := models/net/solver.prototxt\nFLAGS = -gpu 0,1\nFLAGS += -weights x\n\ntrain: data\n"
    make += "\t@$(CAFFE) train -solver $(SOLVER) \\\n\t  $(FLAGS)\n"
    assert said(root, "Makefile", make) == [(True, 2)]
    (root / "Makefile").unlink()
    batch = "@echo off\nset SOLVER=models\\net\\solver.prototxt\nREM caffe train --solver=%SOLVER% --weights=x\n"
    batch += "..\\build\\caffe.exe train ^\n  --solver=%SOLVER%\npause\n"
    assert said(root, "train.bat", batch) == [(False, 0)]


def test_code_in_a_readme(root: Path) -> None:
    text = "# Net\nTrain with caffe train --solver=models/net/solver.prototxt --weights=x, or:\n\n"
    text += "```bash\n$ caffe train \\\n  --solver=models/net/solver.prototxt\n```\n"
    assert said(root, "README.md", text) == [(False, 0)]
    text = "Run\n\n    cd $CAFFE\n    caffe train --solver models/net/solver.prototxt --weights x\n\nDone.\n"
    assert said(root, "README.md", text) == [(True, 0)]
    text = "```python\nsolver = caffe.get_solver('models/net/solver.prototxt')\nsolver.net.copy_from('x')\nsolver.solve()\n```\n"
    assert said(root, "README.md", text) == [(True, 0)]


FCN = """\
import caffe
import surgery, score
import numpy as np
import os, sys

weights = '../ilsvrc-nets/vgg16-fcn.caffemodel'

# init
caffe.set_device(int(sys.argv[1]))
caffe.set_mode_gpu()

solver = caffe.SGDSolver('solver.prototxt')
solver.net.copy_from(weights)

# surgeries
interp_layers = [k for k in solver.net.params.keys() if 'up' in k]
surgery.interp(solver.net, interp_layers)

for _ in range(25):
    solver.step(4000)
    score.seg_tests(solver, False, val, layer='score')
"""


def test_a_program_in_the_style_of_fcn(root: Path) -> None:
    write(root, "models/other/solver.prototxt")
    write(root, "models/net/solve.py", FCN)
    assert found(root) == [("models/net/solve.py", 13, True, 0)]
    assert found(root, "models/other/solver.prototxt") == []


SSD = '''\
from __future__ import print_function
import caffe, math, os, subprocess, sys

run_soon = True
resume_training = True
job_name = "SSD_{}".format("300x300")
save_dir = "models/VGGNet/VOC0712/{}".format(job_name)
job_dir = "jobs/VGGNet/VOC0712/{}".format(job_name)
solver_file = "{}/solver.prototxt".format(save_dir)
pretrain_model = "models/VGGNet/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"
gpus = "0,1,2,3"
max_iter = 0
for file in os.listdir(save_dir):
  if file.endswith(".solverstate"):
    max_iter = 1
train_src_param = '--weights="{}" \\\\\\n'.format(pretrain_model)
if resume_training:
  if max_iter > 0:
    train_src_param = '--snapshot="{}_iter_{}.solverstate" \\\\\\n'.format(save_dir, max_iter)
job_file = "{}/{}.sh".format(job_dir, job_name)
with open(job_file, 'w') as f:
  f.write('cd {}\\n'.format(caffe_root))
  f.write('./build/tools/caffe train \\\\\\n')
  f.write('--solver="{}" \\\\\\n'.format(solver_file))
  f.write(train_src_param)
  if solver_param['solver_mode'] == 'GPU':
    f.write('--gpu {} 2>&1 | tee {}/{}.log\\n'.format(gpus, job_dir, job_name))
  else:
    f.write('2>&1 | tee {}/{}.log\\n'.format(job_dir, job_name))
if run_soon:
  subprocess.call(job_file, shell=True)
'''


def test_a_program_that_writes_a_script_in_the_style_of_ssd(root: Path) -> None:
    solver = "models/VGGNet/VOC0712/SSD_300x300/solver.prototxt"
    write(root, solver)
    write(root, "examples/ssd/ssd_pascal.py", SSD)
    runs = found(root, solver)
    assert ("examples/ssd/ssd_pascal.py", 23, True, 4) in runs
    assert {loads for _, _, loads, _ in runs} == {True}


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import os\nos.system('caffe train --solver=models/net/solver.prototxt -gpu 0,1')", [(False, 2)]),
        ("s = 'models/net/solver.prototxt'\nos.system('caffe train --solver=%s --weights %s' % (s, w))", [(True, 0)]),
        ("os.system('caffe train -solver ' + os.path.join('models', 'net', 'solver.prototxt'))", [(False, 0)]),
        ("subprocess.call(['caffe', 'train', '-solver', 'models/net/solver.prototxt'])", [(False, 0)]),
        (
            "cmd = ['caffe', 'train',\n       '--solver=models/net/solver.prototxt']\n"
            "cmd += ['--weights', weights]\nsubprocess.check_call(cmd)",
            [(True, 0)],
        ),
        ("cmd = ['caffe', 'train', '-solver', 'models/net/solver.prototxt']\ncmd.append('-weights=x')\nrun(cmd)", [(True, 0)]),
        ("cmd = 'caffe train'\ncmd += ' --solver=models/net/solver.prototxt'\nrun(cmd)", [(False, 0)]),
        ("cmd = f'caffe train --solver={folder}/models/net/solver.prototxt'\nrun(cmd)", [(False, 0)]),
        ("cmd = 'caffe train --solver=models/net/solver.prototxt'\n", []),
        ("solver = caffe.SGDSolver('models/net/solver.prototxt')\nsolver.solve()", [(False, 0)]),
        ("from caffe import AdamSolver\ns = AdamSolver('models/net/solver.prototxt')\ns.step(1)", [(False, 0)]),
        ("solver = caffe.get_solver('models/net/solver.prototxt')\nprint(solver.net.blobs)", []),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\nif w:\n    s.net.copy_from(w)\ns.solve()", [(None, 0)]),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\nnet = s.net\nnet.copy_from(w)\ns.solve()", [(True, 0)]),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\ns.net.params['a'][0].data[...] = w\ns.solve()", [(True, 0)]),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\nw = s.net.params['a'][0].data\ns.solve()", [(False, 0)]),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\ntransplant(s.net, other)\ns.solve()", [(None, 0)]),
        ("s = caffe.SGDSolver('models/net/solver.prototxt')\nt = caffe.SGDSolver('x')\nt.net.copy_from(w)\ns.solve()", [(False, 0)]),
        (
            "a = caffe.SGDSolver('models/net/solver.prototxt')\na.net.copy_from(w)\n"
            "b = caffe.SGDSolver('models/net/solver.prototxt')\na.step(1)\nb.step(1)",
            [(True, 0), (False, 0)],
        ),
        (
            "class T:\n    def __init__(self):\n        self.solver = caffe.SGDSolver('models/net/solver.prototxt')\n"
            "        self.solver.net.copy_from(w)\n    def run(self):\n        self.solver.step(1)",
            [(True, 0)],
        ),
        (
            "parser.add_argument('--solver', default='models/net/solver.prototxt')\nargs = parser.parse_args()\n"
            "solver = caffe.SGDSolver(args.solver)\nsolver.solve()",
            [(False, 0)],
        ),
        ("def train(path):\n    solver = caffe.SGDSolver(path)\n    solver.solve()", []),
        ("if __name__ == '__main__':\n    s = caffe.SGDSolver('models/net/solver.prototxt')\n    s.solve()", [(False, 0)]),
        ("print 'python 2'\ns = caffe.SGDSolver('models/net/solver.prototxt')\ns.restore('x.solverstate')\ns.solve()", [(True, 0)]),
        ('"""\ncaffe train --solver=models/net/solver.prototxt --weights x\n"""\n', []),
    ],
)
def test_programs(root: Path, program: str, expected: list[tuple[bool | None, int]]) -> None:
    assert said(root, "train.py", program) == expected


def test_the_solver_of_another_folder_is_not_meant(root: Path) -> None:
    write(root, "models/other/solver.prototxt")
    write(root, "solver.prototxt")
    write(root, "models/other/train.sh", "caffe train --solver=solver.prototxt --weights=x")
    write(root, "scripts/train.sh", "caffe train --solver=solver.prototxt")
    assert found(root) == []
    assert found(root, "models/other/solver.prototxt") == [("models/other/train.sh", 1, True, 0)]
    assert found(root, "solver.prototxt") == [("scripts/train.sh", 1, False, 0)]


def test_paths_of_other_machines(root: Path) -> None:
    write(root, "models/other/solver.prototxt")
    assert said(root, "a.sh", "caffe train --solver=/home/me/work/models/net/solver.prototxt") == [(False, 0)]
    assert said(root, "a.sh", "caffe train --solver=$ROOT/net/solver.prototxt") == [(False, 0)]
    assert said(root, "a.sh", "caffe train --solver=/home/me/solver.prototxt") == []
    assert said(root, "a.sh", "caffe train --solver=$DIR/solver.prototxt") == []
    write(root, "copies/models/net/solver.prototxt")
    assert said(root, "a.sh", "caffe train --solver=/home/me/work/models/net/solver.prototxt") == []


def test_paths_that_are_known_in_parts(root: Path) -> None:
    script = "./tools/train_net.py --solver models/${NET}/end2end/solver.prototxt --weights data/${NET}.v2.caffemodel"
    write(root, "models/a/end2end/solver.prototxt")
    write(root, "models/a/stage1/solver.prototxt")
    assert said(root, "train.sh", script, "models/a/end2end/solver.prototxt") == [(True, 0)]
    assert found(root, "models/a/stage1/solver.prototxt") == []
    assert said(root, "train.sh", "caffe train --solver=$A/$B/solver.prototxt") == []


def test_what_cannot_be_read_has_no_trainings(root: Path) -> None:
    command = f"caffe train --solver={SOLVER}\n"
    (root / "binary.sh").write_bytes(b"\x7fELF\0\0" + command.encode())
    write(root, "line.sh", "echo " + "x" * 290_000 + "; " + command)
    write(root, "large.py", "#" * run_scripts.MAX_BYTES_OF_SCRIPT + "\n" + command)
    os.mkfifo(root / "pipe.sh")
    (root / "loop.sh").symlink_to("loop.sh")
    write(root.parent, "outside.sh", command)
    (root / "link.sh").symlink_to("../outside.sh")
    (root / "folder").symlink_to("..")
    write(root, "ignored/train.sh", command)
    write(root, ".gitignore", "ignored/\n")
    write(root, "secret.sh", command)
    (root / "secret.sh").chmod(0)
    (root / "latin.sh").write_bytes(b"# \xe9\xff\n" + command.encode())
    expected = ["latin.sh"] if os.geteuid() else ["latin.sh", "secret.sh"]  # root may read everything
    assert [name for name, *_ in found(root)] == expected


@pytest.mark.parametrize(
    "unit",
    ["(", "$(", '"', "'", "`", "${A", "A=$A$A;", "if ", "'''", '"""', "\\\n", "[", "f(", "a.", "%s", "{}", "-", "a=b=", "\t", "```\n"],
)
@pytest.mark.parametrize("name", ["train.sh", "train.py", "Makefile", "train.bat", "README.md"])
def test_hostile_scripts_take_linear_work(root: Path, name: str, unit: str) -> None:
    def read(size: int) -> Callable[[], object]:
        write(root, name, f"solver = 1\n{unit * (size // len(unit))}\ncaffe train --solver={SOLVER}\n")
        return lambda: found(root)

    assert_linear(read, 1000)
    read(100_000)()  # what a pattern reads in vain is not counted: the square of this never ends


def test_scripts_are_read_once_in_a_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "models/b/solver.prototxt")
    write(root, "train.sh", f"caffe train --solver={SOLVER}")
    assert len(found(root)) == 1
    (root / "train.sh").unlink()
    assert len(runs_of_solver(str(root / SOLVER)).runs) == 1
    assert runs_of_solver(str(root / "models/b/solver.prototxt")).runs == []


def test_only_so_much_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "a.sh", f"caffe train --solver={SOLVER}")
    write(root, "b.sh", f"caffe train --solver={SOLVER}")
    write(root, "c.sh", "no word of it\n" * 100)
    assert len(found(root)) == 2
    assert runs_of_solver(str(root / SOLVER)).is_whole
    monkeypatch.setattr(run_scripts, "MAX_WORK", 60)
    assert [name for name, *_ in found(root)] == ["a.sh"]
    assert not runs_of_solver(str(root / SOLVER)).is_whole
