"""What a command does not load: a start is paid at every restart of a session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpi.cli import main as main_module
from gpi.cli import warming
from gpi.tools import children
from tests.shell import ROOT, environment, gpi


def python(code: str, **more: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, env=environment(**more), timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_the_vendors_client_comes_without_pandas() -> None:
    """And whoever needs pandas gets the real one: the client itself, and anybody else."""
    told = python(
        "import sys, gpi.tools.feeds.live.subscription, gpi.tools.feeds.live.refill, gpi.tools.brokers.alpaca.broker\n"
        "print('pandas' in sys.modules)\n"
        "from alpaca.data.models import BarSet\n"
        "bar = {'t': '2026-01-05T10:00:00Z', 'o': 1, 'h': 1, 'l': 1, 'c': 1, 'v': 1, 'n': 1, 'vw': 1}\n"
        "made = BarSet({'A': [bar]}).df\n"
        "import pandas\n"
        "print(isinstance(made, pandas.DataFrame), len(made), len(pandas.DataFrame([1, 2])))\n"
        "import alpaca.trading.requests as asked\n"
        "print(asked.pd.Timestamp is pandas.Timestamp)\n"
    )
    assert told.split("\n") == ["False", "True 1 2", "True"]


def test_pandas_that_is_there_already_stays() -> None:
    """Imported before ours, it is what the client gets."""
    code = "import pandas, gpi.tools.feeds.live.alpaca, alpaca.data.models.base as base\nprint(base.pd is pandas)"
    assert python(code) == "True"


def test_opening_files_of_our_own_loads_no_compiler(tmp_path: Path) -> None:
    """The vendors' readers and their kernels are loaded for their files only, whatever is asked of ours."""
    gpi("simulate", "--events", "50", "--levels", "2", "--out", str(tmp_path / "a.arrow"))
    gpi("replay", str(tmp_path / "a.arrow"), "--out", str(tmp_path / "b.parquet"))
    gpi("replay", str(tmp_path / "a.arrow"), "--out", str(tmp_path / "lake") + "/")
    code = (
        "import sys\nfrom gpi.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "heavy = ('numba', 'pyarrow.compute', 'pandas', 'pyarrow.parquet')\n"
        "print(*(name for name in heavy if name in sys.modules), file=sys.stderr)"
    )
    out = str(tmp_path / "out.arrow")
    for words, more in (
        (("a.arrow",), ""),
        (("a.arrow", "--as-written"), ""),
        (("a.arrow", "--symbols", "SPY", "--speed", "1e9"), ""),
        (("a.arrow", "a.arrow", "--batch", "7"), ""),
        (("b.parquet",), "pyarrow.parquet"),
        (("b.parquet", "--as-written"), "pyarrow.parquet"),
        (("lake",), "pyarrow.parquet"),
    ):
        named = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in words]
        done = subprocess.run(
            [sys.executable, "-c", code, "replay", *named, "--out", out],
            capture_output=True, cwd=ROOT, env=environment(), timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr.decode().strip() == more, words


@pytest.mark.jit
def test_the_engines_commands_load_what_they_run_and_no_more(tmp_path: Path) -> None:
    """Once their kernels are compiled: nothing that only compiles, reads other files or looks for packages."""
    gpi("simulate", "--events", "50", "--out", str(tmp_path / "a.arrow"))
    code = (
        "import sys\nfrom gpi.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "heavy = ('numba.np.linalg', 'numba.cpython.charseq', 'numpy.ma', 'importlib.metadata', 'pyarrow.compute')\n"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    words = [sys.executable, "-c", code, "featurize", str(tmp_path / "a.arrow"), "--out", str(tmp_path / "b.arrow")]
    for loaded in (None, ""):  # the first may have to compile
        done = subprocess.run(words, capture_output=True, cwd=ROOT, env=environment(), timeout=600)
        assert done.returncode == 0, done.stderr.decode()
        assert loaded is None or done.stdout.decode().strip() == loaded


@pytest.mark.jit
def test_a_kernel_is_compiled_from_one_that_was_loaded(tmp_path: Path) -> None:
    """Its bitcode is read then, and not before; the runtime's functions are kept, and made anew where damaged."""
    source = (
        "from gpi.tools.kernels.jit import jit\nimport numpy as np\n"
        "@jit\ndef made(x):\n    return np.sort(x * 2)\n"
        "@jit\ndef both(x):\n    return made(x)[0] + made(x + 1)[0]\n"
    )
    (tmp_path / "planted.py").write_text(source)
    more = {"GPI_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    made = "import numpy as np, planted\nprint(planted.made(np.arange(3.0)).tolist())\n"
    for _ in ("compiled", "loaded"):
        assert python(made, **more) == "[0.0, 2.0, 4.0]"
    (kept,) = (tmp_path / "cache").rglob("runtime.*.nbc")
    late = made + (
        "(found,) = planted.made.overloads.values()\nprint(found.library._shared_module is None)\n"
        "print(planted.both(np.arange(3.0)), planted.both(np.arange(3)), found.library._shared_module is None)"
    )
    assert python(late, **more).split("\n") == ["[0.0, 2.0, 4.0]", "True", "2.0 2 False"]
    kept.write_bytes(b"nothing")
    assert python(late, **more).split("\n")[0] == "[0.0, 2.0, 4.0]"
    assert kept.stat().st_size > 100


def test_a_command_has_room_for_its_frames() -> None:
    """Deep under it no call crosses from one piece of the interpreter's stack to the next."""
    assert main_module.roomy(lambda: 7) == 7
    assert main_module.roomy.__code__.co_stacksize == main_module.FRAMES


@pytest.mark.jit
def test_a_cached_kernel_is_loaded_without_the_compilers_library(tmp_path: Path) -> None:
    """The first run compiles it; the second finds it, refreshes nothing, gives the same; then another is compiled."""
    code = (
        "import sys, numpy as np\n"
        "from gpi.tools.kernels.jit import jit\n"
        "import planted\n"
        "got = planted.made(np.arange(5.0))\n"
        "lean = 'numba.np.linalg' not in sys.modules\n"
        "print(lean, got.tolist(), planted.made(np.arange(3)).tolist(), 'numba.np.linalg' in sys.modules)"
    )
    source = (
        "from gpi.tools.kernels.jit import jit\nimport numpy as np\n@jit\ndef made(x):\n    return np.sort(x * 2)\n"
    )
    (tmp_path / "planted.py").write_text(source)
    more = {"GPI_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    only_floats = code.replace("planted.made(np.arange(3)).tolist()", "[0, 2, 4]")
    rest = "[0.0, 2.0, 4.0, 6.0, 8.0] [0, 2, 4] True"
    assert python(only_floats, **more) == f"False {rest}"
    assert python(code, **more) == f"True {rest}"


@pytest.mark.jit
def test_a_damaged_cache_is_compiled_anew(tmp_path: Path) -> None:
    """Whatever is wrong with what lies there, the ordinary road knows."""
    source = "from gpi.tools.kernels.jit import jit\n@jit\ndef made(x):\n    return x + 1\n"
    (tmp_path / "planted.py").write_text(source)
    more = {"GPI_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code = "import planted\nprint(planted.made(1))"
    assert python(code, **more) == "2"
    for path in (tmp_path / "cache").rglob("planted*.nbc"):
        path.write_bytes(b"")
    assert python(code, **more) == "2"


def test_a_session_has_the_kernels_compiled_before_it_connects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By a process of its own, and says so; with GPI_COLD=1 it only says so; once they are compiled, nothing of it."""
    said: list[str] = []
    started: list[tuple[object, ...]] = []

    def start(*words: object, **_: object) -> subprocess.Popen[bytes]:
        started.append(words)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(children, "start", start)
    monkeypatch.setenv("GPI_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setenv("GPI_COLD", "1")
    warming.before_a_session(said.append)
    assert len(said) == 1 and "GPI_COLD=1" in said[0] and not started
    monkeypatch.delenv("GPI_COLD")
    warming.before_a_session(said.append)
    assert len(said) == 2 and "gpi doctor --warm" in said[1] and started == [("gpi.cli.main", "doctor", "--warm")]
    said.pop()
    monkeypatch.setattr(warming, "_works", lambda: {"nothing": lambda: None})
    warming.compile_all(said.append)
    assert "nothing (1 of 1)" in said[1]
    warming.compile_all(said.append)
    warming.before_a_session(said.append)
    assert len(said) == 2 and len(started) == 1


@pytest.mark.jit
def test_two_that_warm_at_once_compile_once(tmp_path: Path) -> None:
    """The second waits for the first, and a session for either."""
    code = (
        "import sys, time\nfrom gpi.cli import warming\n"
        "warming._works = lambda: {'slow': lambda: time.sleep(1.0)}\n"
        "warming.compile_all(lambda words: print('compiled'))\n"
    )
    env = environment(GPI_CACHE_DIR=str(tmp_path))
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=env) for _ in range(2)]
    told = [each.communicate(timeout=120)[0] for each in both]
    assert sorted(told) == [b"", b"compiled\n"]


def test_doctor_offers_it() -> None:
    """Found where one looks."""
    assert b"--warm" in gpi("doctor", "--help", check=0).stdout
