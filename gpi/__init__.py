"""Generalized Pattern Intelligence. A package with a file of its own: no other folder called gpi adds to it.

    gpi.backtest(source, strategy, **options)    run a strategy over recorded ticks
    gpi.read_run(path)                           what a run did

Both are imported when they are first asked for: a command that needs neither does not pay for them. Nothing is imported
here: `gpi.formats.searchpath` comes before whatever somebody may have put in the working directory.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpi.tools.desk.offline import backtest as backtest
    from gpi.tools.desk.results import read_run as read_run

__all__ = ["backtest", "read_run"]


def __getattr__(name: str) -> object:
    if name == "backtest":
        from gpi.tools.desk.offline import backtest

        return backtest
    if name == "read_run":
        from gpi.tools.desk.results import read_run

        return read_run
    raise AttributeError(f"module 'gpi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
