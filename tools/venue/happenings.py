"""Happenings: what befalls the world. Halts, skewed clocks, assignments, busts, corrections, strangers' orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument
from gpi.formats.market.calendar import next_open
from gpi.formats.words import HALTED, PAUSED, SECOND
from gpi.tools.venue.accounts.account import Account, Fill, Moved
from gpi.tools.venue.accounts.entry import submit
from gpi.tools.venue.accounts.tickets import read
from gpi.tools.venue.alpaca.assets import wire_symbol
from gpi.tools.venue.data.rows import status
from gpi.tools.venue.money import exact, given, text
from gpi.tools.venue.world import World

Words = Mapping[str, Any]
ALL: Final = "*"


def happen(world: World, name: str, words: Words) -> Iterable[Frame]:
    """Let one world event happen now; the frames that tell of it. Raises UsageError or Refusal."""
    world.counters[f"happened.{name}"] += 1
    return HAPPENINGS[name](world, words)


def _halt(world: World, words: Words) -> list[Frame]:
    return _stopped(world, words, HALTED, words.get("seconds"))


def _luld(world: World, words: Words) -> list[Frame]:
    return _stopped(world, words, PAUSED, words.get("seconds", 300))


def _mwcb(world: World, words: Words) -> list[Frame]:
    level = int(words.get("level", 1))
    return _stopped(world, {"symbol": ALL}, HALTED, words.get("seconds", 900) if level < 3 else None)


def _stopped(world: World, words: Words, flag: int, seconds: Any) -> list[Frame]:
    """A status row for each symbol; trading resumes after `seconds` of venue time, if there are any."""
    now = world.clock.now()
    if seconds is not None:
        end = now + int(float(seconds) * SECOND)
        world.faults.set("resume", symbol=words.get("symbol", ALL), at=end)
    return [status(world.levels, _instruments(world, words), now, flag)]


def _resume(world: World, words: Words) -> list[Frame]:
    return [status(world.levels, _instruments(world, words), world.clock.now(), 0)]


def _skew(world: World, words: Words) -> list[Frame]:
    world.clock.skew_ns = int(float(words.get("seconds", 0)) * SECOND)
    return []


def _assign(world: World, words: Words) -> list[Frame]:
    """A short option is exercised against the account: the contracts go, shares move at the strike."""
    now = world.clock.now()
    if not words.get("now"):
        later = {key: value for key, value in words.items() if key not in ("now", "at")}
        world.faults.set("assign", **later, now=1, at=next_open(now))
        return []
    account, instrument = _account(world, words), _instrument(world, words)
    held = account.held(instrument)
    if held >= 0 or instrument.asset_class != "option":
        return []
    qty = min(-held, _decimal(words.get("qty", -held)))
    shares = world.accounts.assets.named(instrument.underlying)
    side = -1 if instrument.right == "C" else 1
    moved, strike = qty * exact(instrument.multiplier), exact(instrument.strike)
    account.transfer(instrument, qty, Decimal(0))
    account.transfer(shares, side * moved, strike)
    cash, symbol = -side * moved * strike, wire_symbol(instrument)
    why = f"assignment of {text(qty)} {symbol}"
    account.adjust(now, cash, why, Moved(now, "OPASN", cash, symbol, qty, strike, why))
    return []


def _bust(world: World, words: Words) -> list[Frame]:
    account, fill = _fill(world, words)
    if fill is not None:
        fill.busted = True
        order = fill.order
        order.filled_qty -= fill.qty
        order.cost -= fill.qty * fill.price
        if order.status == "filled":
            order.status, order.filled_at = "canceled", None
        account.rebuild(fill)
        _tell(world, "trade_bust", account, fill)
    return []


def _correct(world: World, words: Words) -> list[Frame]:
    account, fill = _fill(world, words)
    if fill is not None:
        price = _decimal(words.get("price", fill.price))
        fill.order.cost += fill.qty * (price - fill.price)
        fill.price = price
        account.rebuild(fill)
        _tell(world, "trade_correct", account, fill)
    return []


def _tell(world: World, event: str, account: Account, fill: Fill) -> None:
    held = account.held(fill.instrument)
    execution = {"execution_id": fill.id, "price": text(fill.price), "qty": text(fill.qty)}
    now = world.clock.now()
    world.accounts.updates.tell(fill.order, event, now, **execution, position_qty=text(held))


def _external(world: World, words: Words) -> list[Frame]:
    """Somebody else at the same account: an order nobody of us sent, or a position that is suddenly there."""
    account, instrument = _account(world, words), _instrument(world, words)
    qty = _decimal(words.get("qty", 1))
    side = -1 if words.get("side") == "sell" else 1
    if words.get("position"):
        price = world.accounts.prices.mark(instrument, Decimal(1))
        account.transfer(instrument, side * qty, price)
        now, symbol = world.clock.now(), wire_symbol(instrument)
        account.moved.append(Moved(now, "JNLS", Decimal(0), symbol, side * qty, price, f"transfer of {symbol}"))
        return []
    limit = words.get("limit_price")
    coin = instrument.asset_class == "crypto"
    body = {
        "symbol": instrument.symbol,
        "qty": str(qty),
        "side": "buy" if side > 0 else "sell",
        "type": "market" if limit is None else "limit",
        "limit_price": limit,
        "time_in_force": words.get("time_in_force", "gtc" if coin else "day"),
        "client_order_id": words.get("client_order_id"),
    }
    submit(world.accounts, account, read(body, world.accounts.assets), source="external")
    return []


def _account(world: World, words: Words) -> Account:
    """The account of words["key_id"], or the first."""
    accounts = world.accounts.accounts
    key_id = words.get("key_id") or next(iter(accounts))
    if key_id not in accounts:
        raise UsageError(f"no account {key_id}: there are {', '.join(accounts)}")
    return accounts[key_id]


def _instrument(world: World, words: Words) -> Instrument:
    found = world.accounts.assets.find(str(words.get("symbol", "")))
    if found is None:
        raise UsageError(
            f"no symbol {words.get('symbol')!r}: the venue lists {', '.join(world.instruments.symbols[:8])}"
        )
    return found


def _instruments(world: World, words: Words) -> list[int]:
    if words.get("symbol", ALL) == ALL:
        return [each.id for each in world.instruments]
    return [_instrument(world, words).id]


def _fill(world: World, words: Words) -> tuple[Account, Fill | None]:
    """The last fill that stands, of one order if words["client_order_id"] names it."""
    account, wanted = _account(world, words), words.get("client_order_id")
    standing = (
        each for each in reversed(account.fills)
        if not each.busted and wanted in (None, each.order.client_order_id)
    )  # fmt: skip
    return account, next(standing, None)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    found = given(value, "a number")
    assert found is not None
    return found


HAPPENINGS: Final[Mapping[str, Callable[[World, Words], list[Frame]]]] = {
    "halt": _halt,
    "luld": _luld,
    "mwcb": _mwcb,
    "resume": _resume,
    "skew": _skew,
    "assign": _assign,
    "bust": _bust,
    "correct": _correct,
    "external": _external,
}
