"""What is built and installed: nothing is missing or lands where it should not, and it runs from anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest.importorskip("build", reason="build is not installed (make test installs it)")

CHECKOUT = Path(__file__).resolve().parent.parent
if not (CHECKOUT / "pyproject.toml").exists():
    pytest.skip("there is no checkout to build from", allow_module_level=True)

# Folders of the checkout, and the packages that they are installed as.
PACKAGES = {"lint": "caffe_lint", "proto": "caffe_lint/proto", "fixes": "caffe_lint/fixes"}
COMPILED = {"caffe.binpb", "caffe.schema", "caffe_pb2.pyi"}
NOT_SOURCE = (".*", "build", "dist", "*.egg-info", "__pycache__", *COMPILED)

pytestmark = pytest.mark.pypi


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as a fresh clone has it: nothing built or compiled in it."""
    copy = tmp_path_factory.mktemp("checkout") / "caffe-lint"
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", str(folder), str(checkout)])
    return folder


def run(command: list[str], cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the build leaves nothing in the checkout
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(built: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of all that the package needs, to be built and to run."""
    folder = tmp_path_factory.mktemp("wheels")
    needed = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    wheel = str(*built.glob("*.whl"))
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "-w", str(folder), wheel, *needed])
    return folder


def modules_of_checkout(checkout: Path) -> set[str]:
    return {
        f"{package}/{path.relative_to(checkout / folder).as_posix()}"
        for folder, package in PACKAGES.items()
        for path in (checkout / folder).rglob("*")
        if path.is_file() and path.name not in ("SHA256SUMS", "refetch.sh")  # of `make vendor`
    }


def test_the_wheel_holds_the_package_and_nothing_else(built: Path, checkout: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    distribution = wheel.name.partition("-py3")[0]
    manual = f"{distribution}.data/data/share/man/man1/caffe-lint.1"
    packaged = {name for name in names if ".dist-info/" not in name}
    assert packaged == modules_of_checkout(checkout) | {f"caffe_lint/proto/{name}" for name in COMPILED} | {manual}
    assert {name.partition("/")[0] for name in names} == {"caffe_lint", f"{distribution}.dist-info", f"{distribution}.data"}


def test_the_sdist_holds_all_that_is_needed_to_build_and_test(built: Path, checkout: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "proto/caffe.proto",
    } <= names
    for folder in ("lint", "proto", "fixes", "tests", "examples", "docs", "benchmarks"):
        files = {str(path.relative_to(checkout)) for path in (checkout / folder).rglob("*") if path.is_file()}
        assert files <= names, f"not in the sdist: {sorted(files - names)}"
    assert not {name for name in names if name.rpartition("/")[2] in COMPILED}


@pytest.mark.parametrize("way", ["wheel", "sdist", "editable", "strict editable"])
def test_it_runs_from_anywhere_however_it_was_installed(
    way: str, built: Path, checkout: Path, wheels: Path, tmp_path: Path
) -> None:
    offline = ["--no-index", "--find-links", str(wheels)]
    what = {
        "wheel": [*offline, str(*built.glob("*.whl"))],
        "sdist": [*offline, str(*built.glob("*.tar.gz"))],
        "editable": ["--editable", str(checkout)],
        "strict editable": ["--editable", str(checkout), "--config-settings", "editable_mode=strict"],
    }[way]
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = str(binaries / "python")
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what])

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(CHECKOUT / "examples" / "digits", elsewhere / "digits")
    assert "0.1.0" in run([str(binaries / "caffe-lint"), "--version"], elsewhere)
    assert "2 files" in run([str(binaries / "caffe-lint"), "digits/solver.prototxt"], elsewhere)
    program = "from caffe_lint.proto import caffe_pb2 as c; print(c.NetParameter(name='LeNet').name)"
    assert run([python, "-c", program], elsewhere) == "LeNet\n"

    site_packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    assert not {"proto", "lint", "fixes", "tests", "benchmarks", "docs"} & set(os.listdir(site_packages))
    program = "import importlib.util as u; print([n for n in ('lint', 'fixes', 'proto') if u.find_spec(n)])"
    assert run([python, "-c", program], elsewhere) == "[]\n"
