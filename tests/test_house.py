"""The house: what a newcomer can rely on about every file in it."""

import ast
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpi.cli.main import COMMANDS, load

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("numpy", "pyarrow", "numba", "torch", "onnxruntime", "faiss", "duckdb", "rich", "pandas", "xxhash")
CLOCKED = ("feeds", "brokers", "venue", "monitor", "chaos")  # the only rooms that may read a clock
DRAWERS = {"utils", "common", "core", "base", "helpers", "misc"}


def modules(*folders: str) -> Iterator[Path]:
    """Every module of these top-level folders."""
    for folder in folders or ("cli", "tools", "formats"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


ALL = pytest.mark.parametrize("path", list(modules()), ids=_name)


def test_listing_the_commands_imports_no_tool() -> None:
    """`gpi --help` starts as fast as a bare Typer program because nothing heavy is loaded."""
    program = (
        "import sys\nfrom gpi.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_the_live_path_never_loads_torch() -> None:
    """Every stage of the live pipeline can be imported without torch, sklearn or pandas."""
    program = (
        "import sys\n"
        "import gpi.tools.features.tick, gpi.tools.embed.tick, gpi.tools.backtest.session\n"
        "import gpi.tools.strategies.market_making, gpi.tools.memory.match, gpi.tools.feeds.files\n"
        "import gpi.tools.desk.session, gpi.tools.desk.alpaca\n"
        "print([m for m in ('torch', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


@ALL
def test_packages_hold_a_docstring_only(path: Path) -> None:
    """No code in __init__.py: importing one room never imports another."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{_name(path)} has no docstring"
    if path.name == "__init__.py":
        assert len(tree.body) == 1


@ALL
def test_every_public_thing_is_documented(path: Path) -> None:
    """Public functions, classes and methods carry a docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            body = [node, *node.body] if not node.name.startswith("_") else []
        elif isinstance(node, ast.Module):
            body = node.body
        else:
            continue
        for each in body:
            if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and not each.name.startswith("_"):
                overload = any(getattr(d, "id", "") == "overload" for d in each.decorator_list)
                assert overload or ast.get_docstring(each), f"{_name(path)}: {each.name} has no docstring"


@ALL
def test_no_stage_reads_a_clock(path: Path) -> None:
    """Order is by event time only: clocks are read in feeds, brokers, venue and monitor, and nowhere else."""
    if path.parts[len(ROOT.parts)] == "tools" and path.parts[len(ROOT.parts) + 1] in CLOCKED:
        return
    clocks = r"\b(perf_counter\w*|monotonic\w*|time_ns|time\.time|datetime\.now|utcnow|date\.today|time\.sleep)\b"
    found = re.search(clocks, _code(path))
    allowed = {"cli/doctor.py"}  # measures this machine, no data
    assert found is None or _name(path) in allowed, f"{_name(path)} reads a clock: {found and found.group()}"


def _code(path: Path) -> str:
    """The source without strings and comments."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.unparse(tree)


@ALL
def test_modules_and_functions_stay_small(path: Path) -> None:
    """A module is at most 300 lines, a function at most 60; kernels, which the compiler wants whole, are exempt."""
    lines = path.read_text().splitlines()
    if "kernels" in path.parts:
        return
    assert len(lines) <= 300, f"{_name(path)} has {len(lines)} lines"
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= 60, f"{_name(path)}: {node.name} has {size} lines"


@ALL
def test_functions_take_at_most_twelve_parameters(path: Path) -> None:
    """More belong together somehow: a dataclass says how. Kernels, which take columns, are exempt."""
    if "kernels" in path.parts:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            count = len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
            assert count <= 12, f"{_name(path)}: {node.name} takes {count} parameters"


def test_no_module_is_a_drawer() -> None:
    """Names say what is inside."""
    assert not [p for p in modules() if p.stem in DRAWERS]


def test_nobody_prints_below_the_command_line() -> None:
    """Results go down the pipe, the rest is the command line's to say."""
    for path in modules("tools", "formats"):
        for node in ast.walk(ast.parse(path.read_text())):
            printed = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            assert not printed, f"{_name(path)}: print at line {node.lineno}"


def test_processes_are_started_in_one_place() -> None:
    """`tools/children.py` starts them, isolated; the chaos suite's zygote forks itself; nobody else does either."""
    modules_of = {"subprocess", "multiprocessing", "pty", "concurrent.futures.process", "asyncio.subprocess"}
    calls = re.compile(r"^(exec|spawn|posix_spawn|popen|system|fork|forkpty)|^create_subprocess|^ProcessPoolExecutor$")
    allowed = {"tools/children.py": {"import"}, "tools/chaos/zygote.py": {"fork"}}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            found = set[str]()
            if isinstance(node, ast.Import):
                found = {"import" for each in node.names if each.name.split(".")[0] in modules_of}
            elif isinstance(node, ast.ImportFrom):
                found = {"import"} if node.module in modules_of else {n.name for n in node.names if calls.match(n.name)}
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("os", "asyncio"):
                found = {node.attr} if calls.match(node.attr) else set()
            assert found <= allowed.get(_name(path), set()), f"{_name(path)}:{getattr(node, 'lineno', 0)}: {found}"


def test_imports_form_no_cycle() -> None:
    """Modules can be read in an order in which each knows only those before it, late imports counted."""
    graph = {_module(p): _imports(p) for p in modules() if p.name != "__init__.py"}
    graph["gpi.cli.main"] = set()  # its loaders import the commands when they run: that is the lazy table
    seen: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if seen.get(name):
            return
        for other in sorted(graph.get(name, ())):
            visit(other, (*trail, name))
        seen[name] = 1

    for name in graph:
        visit(name, ())


def _module(path: Path) -> str:
    return "gpi." + ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _imports(path: Path) -> set[str]:
    """Every module that a module knows, where it imports it within a function, too; not those of types alone."""
    found = set[str]()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return found


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_is_where_its_name_says(name: str) -> None:
    """command name = cli file; it has help, and an example that names it."""
    assert (ROOT / "cli" / f"{name.replace('-', '_')}.py").exists()
    command = load(name)
    commands = getattr(command, "commands", None) or {name: command}
    for each in commands.values():
        assert each.help, f"gpi {name} has no help"
        assert each.epilog, f"gpi {name} has no example"
        assert f"gpi {name}" in each.epilog
        assert shlex.split(each.epilog.replace("'", "")), "the example can be typed"
        for param in each.params:
            assert getattr(param, "help", "") is not None


def test_every_command_is_in_the_readme() -> None:
    """The README names every command."""
    readme = (ROOT / "README.md").read_text()
    missing = [name for name in COMMANDS if name not in readme]
    assert not missing


@pytest.mark.jit
def test_the_wheel_holds_every_module_and_the_model(tmp_path: Path) -> None:
    """Built and unzipped, the package has all the modules, the shipped model and the default limits."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"gpi/{_name(p)}" for p in modules()} | {"gpi/py.typed", "gpi/tools/risk/risk.toml"}
    assert wanted <= inside, sorted(wanted - inside)[:5]
    assert any(n.startswith("gpi/tools/embed/models/") and n.endswith("manifest.json") for n in inside)


def test_the_top_level_names_are_never_imported_bare() -> None:
    """`cli`, `tools` and `formats` are imported as gpi.cli, gpi.tools, gpi.formats."""
    bare = re.compile(r"^\s*(from|import) (cli|tools|formats)\b", re.M)
    for path in [*modules(), *modules("tests", "bench", "examples")]:
        assert not bare.search(path.read_text()), _name(path)
