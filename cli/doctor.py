"""gpi doctor: is this machine ready?"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from gpi.cli.terminal import say

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Finding(NamedTuple):
    """One check: whether it is well, what was seen, what to do if it is not."""

    well: bool
    what: str
    seen: str
    fix: str = ""


@app.command(epilog="Example: gpi doctor; after an install, before a session: gpi doctor --warm")
def doctor(
    warm: Annotated[bool, typer.Option("--warm", help="Compile every kernel that is not yet; once a version.")] = False,
) -> None:
    """Check packages, kernels, model, pipe and keys; exit 1 if something must be mended."""
    if warm:
        from gpi.cli.warming import compile_all

        compile_all(lambda words: say(f"gpi doctor: {words}", err=True))
    checks: list[Callable[[], Finding]] = [_python, _extras, _onnx, _kernels, _model, _pipe, _keys]
    findings = [check() for check in checks]
    for each in findings:
        say("ok " if each.well else "no ", fg="green" if each.well else "red", nl=False)
        say(f" {each.what:<10} {each.seen}")
        if not each.well:
            say(f"    -> {each.fix}")
    raise typer.Exit(0 if all(each.well for each in findings) else 1)


def _python() -> Finding:
    import platform
    import sys

    from gpi.formats.version import __version__

    seen = f"gpi {__version__}, Python {platform.python_version()}, {platform.machine()}"
    return Finding(sys.version_info >= (3, 11), "python", seen, "gpi needs Python 3.11 or later")


def _installed(*names: str) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _extras() -> Finding:
    pairs = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))
    found = [_installed(*pair) for pair in pairs]
    seen = ", ".join(f"{name} {version}" for pair in found for name, version in pair.items()) or "none"
    well = all(len(pair) == 1 for pair in found)
    fix = "install exactly one of the extras: pip install 'generalized-pattern-intelligence[cpu]' (or [gpu])"
    return Finding(well, "extras", seen, fix)


def _onnx() -> Finding:
    import os

    off = os.environ.get("ORT_DISABLE_TELEMETRY", "1") == "1"
    seen = "ONNX Runtime's telemetry is off" if off else "ONNX Runtime's telemetry is on by your environment"
    return Finding(True, "onnx", seen)


def _kernels() -> Finding:
    import os

    from gpi.cli.warming import compiled
    from gpi.formats.errors import UsageError
    from gpi.formats.trust import CACHE, MEND, private_folder, trusted_whole

    try:
        from gpi.tools.kernels.jit import cache_folder
    except UsageError as error:
        return Finding(False, "kernels", "others could put code into the cache", str(error))
    folder = cache_folder()
    try:
        private_folder(folder)
        trusted_whole(folder, CACHE, MEND)
        count = len(list(folder.rglob("*.nbc")))
    except UsageError as error:
        return Finding(False, "kernels", "others could put code into the cache", str(error))
    except OSError as error:
        return Finding(False, "kernels", f"{folder}: {error.strerror}", "set GPI_CACHE_DIR to a writable folder")
    writable = os.access(folder, os.W_OK)
    seen = (
        f"all compiled, {count} in {folder}"
        if compiled()
        else (f"{count} compiled in {folder}, not all: `gpi doctor --warm` does the rest, or a session will")
    )
    return Finding(writable, "kernels", seen, "make that folder writable")


def _model() -> Finding:
    from gpi.formats.errors import GpiError
    from gpi.tools.embed.tick import SHIPPED, tick_embedding

    try:
        tick_embedding(SHIPPED)
    except GpiError as error:
        return Finding(False, "model", str(error), "reinstall gpi, or make the model again: make model")
    return Finding(True, "model", f"the shipped encoder loads ({SHIPPED.name})")


def _pipe() -> Finding:
    import os
    from time import perf_counter_ns

    from gpi.formats.frame import Layout
    from gpi.formats.ipc import Reader, Writer
    from gpi.formats.ticks import TICKS

    into, out_of = os.pipe()[::-1]
    writer, frame = Writer(into, TICKS), Layout.of(TICKS).empty(1)
    writer.write(frame)
    frames = iter(Reader(out_of))
    next(frames)
    times = []
    for _ in range(2000):
        began = perf_counter_ns()
        writer.write(frame)
        next(frames)
        times.append(perf_counter_ns() - began)
    os.close(into)
    os.close(out_of)
    seen = f"one tick through a pipe: {sorted(times)[1000] / 1e3:.1f} us (p50, one process)"
    return Finding(True, "pipe", seen)


def _keys() -> Finding:
    import os

    names = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "POLYGON_API_KEY", "MASSIVE_API_KEY")
    have = [name for name in names if os.environ.get(name)]
    return Finding(True, "keys", ", ".join(have) + " set" if have else "none set (only live capture needs them)")
