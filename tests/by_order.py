"""Random markets told order by order, and scripts of orders for them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from gpi.formats.words import ADD, DELETE, EXECUTE, GTC, IOC, REDUCE
from tests.trading import START


class Market:
    """A book of orders that trades by price and time, and tells of every order."""

    def __init__(self, rng: np.random.Generator, depth: int) -> None:
        self.rng, self.depth, self.next = rng, depth, 1
        self.lines: dict[tuple[int, int], list[list[float]]] = {}
        self.ts, self.rows = START, list[dict[str, Any]]()
        for _ in range(int(rng.integers(2, 9))):
            self._add(*self._somewhere())
        self.standing = [(int(r), s, p, x) for (s, p), line in self.lines.items() for r, x in line]
        self.row({})

    def _somewhere(self) -> tuple[int, int]:
        side = int(self.rng.choice([1, -1]))
        other = self.best(-side)
        px = int(self.rng.integers(96, 105))
        return side, px if other is None or side * (other - px) > 0 else other - side * int(self.rng.integers(1, 4))

    def best(self, side: int) -> int | None:
        """The best price of a side."""
        prices = [p for s, p in self.lines if s == side]
        return max(prices, key=lambda p: side * p) if prices else None

    def _add(self, side: int, px: int) -> tuple[Any, ...]:
        size = float(self.rng.integers(1, 9))
        self.lines.setdefault((side, px), []).append([self.next, size])
        self.next += 1
        return ADD, self.next - 1, side, px, size

    def _less(self, act: int, side: int, px: int, at: int) -> tuple[Any, ...]:
        line = self.lines[side, px]
        ref, size = line[at]
        gone = size if act == DELETE else float(self.rng.integers(1, size + (act == EXECUTE)))
        line[at][1] -= gone
        if not line[at][1]:
            del line[at]
        if not line:
            del self.lines[side, px]
        return act, int(ref), side, px, gone

    def row(self, tick: dict[str, Any]) -> None:
        """Tell the book as it stands, and what made it so."""
        sides = {1: "bids", -1: "asks"}
        shown = {
            name: [
                (p, sum(size for _, size in self.lines[s, p]))
                for s, p in sorted(self.lines, key=lambda key: -key[0] * key[1])
                if s == side
            ][: self.depth]
            for side, name in sides.items()
        }
        self.ts += int(self.rng.choice([0, 1_000_000, 3_000_000]))
        self.rows.append({**shown, **tick, "ts": self.ts})

    def step(self) -> None:
        """Something happens."""
        what = self.rng.choice(
            ["add", "less", "execute", "hidden", "halt", "nothing"], p=[0.4, 0.2, 0.25, 0.05, 0.03, 0.07]
        )
        sides = [side for side in (1, -1) if self.best(side) is not None]
        if what == "halt":
            self.ts += 1_000_000
            self.rows.append({"halt": bool(self.rng.integers(0, 2)), "ts": self.ts})
        elif what == "add" or not sides:
            self.row({"event": self._add(*self._somewhere())})
        elif what == "less":
            side, px = list(self.lines)[int(self.rng.integers(0, len(self.lines)))]
            at = int(self.rng.integers(0, len(self.lines[side, px])))
            act = REDUCE if self.lines[side, px][at][1] > 1 and self.rng.random() < 0.5 else DELETE
            self.row({"event": self._less(act, side, px, at)})
        else:
            side = int(self.rng.choice(sides))
            px = self.best(side)
            assert px is not None
            if what == "execute":
                event = self._less(EXECUTE, side, px, 0)
                self.row({"event": event, "trade": (-side, px, event[4], False)})
            elif what == "hidden":
                self.row({"trade": (-side, px + side * int(self.rng.integers(-1, 2)), 3.0, True)})
            else:
                self.row({})


@st.composite
def markets(draw: st.DrawFn, steps: int = 60) -> Market:
    """A market that has run for a while."""
    market = Market(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.sampled_from([1, 2, 4])))
    for _ in range(draw(st.integers(5, steps))):
        market.step()
    return market


@st.composite
def scripts(draw: st.DrawFn, rows: int = 50) -> dict[int, list[Any]]:
    """Orders about the market, mostly small and passive, and cancels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    script: dict[int, list[Any]] = {}
    for _ in range(draw(st.integers(1, 15))):
        wish: Any = int(rng.integers(1, 8))
        if rng.random() < 0.85:
            px = None if rng.random() < 0.05 else int(rng.integers(97, 104))
            tif = IOC if px is None else GTC
            wish = (int(rng.choice([-1, 1])), float(rng.integers(1, 10)), px, tif)
        script.setdefault(int(rng.integers(0, rows)), []).append(wish)
    return script
