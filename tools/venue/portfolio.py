"""Account REST: the account, its configuration, activities and history; and a position's JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from gpi.tools.venue.accounts import Account, Fill, Position
from gpi.tools.venue.assets import CLASSES, asset_id, exchange, position_symbol
from gpi.tools.venue.clock import SECOND_NS
from gpi.tools.venue.edge import key_id_of
from gpi.tools.venue.margin import MAINTENANCE, available, worth
from gpi.tools.venue.money import CENT, ZERO, instant, stamp, text
from gpi.tools.venue.orders import SIDES
from gpi.tools.venue.refusals import Refusal, answer, malformed
from gpi.tools.venue.world import World

PAGE: Final = 100
SETTABLE: Final = {
    "suspend_trade": bool,
    "no_shorting": bool,
    "fractional_trading": bool,
    "max_margin_multiplier": str,
    "trade_confirm_email": str,
    "ptp_no_exception_entry": bool,
    "max_options_trading_level": int,
    "disable_overnight_trading": bool,
}
STEPS: Final = {"1Min": 60, "5Min": 300, "15Min": 900, "1H": 3600, "1D": 86_400}


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Everything under /v2/account."""
    pages = _Pages(world)
    return [
        web.get("/v2/account", pages.account),
        web.get("/v2/account/configurations", pages.configurations),
        web.patch("/v2/account/configurations", pages.configure),
        web.get("/v2/account/activities", pages.activities),
        web.get("/v2/account/activities/{kind}", pages.activities),
        web.get("/v2/account/portfolio/history", pages.history),
    ]


def account_json(world: World, account: Account) -> dict[str, Any]:
    """The account as Alpaca writes it; money as strings."""
    now = worth(account, world.accounts.prices)
    maintenance = (now.long_value - now.short_value) * MAINTENANCE
    money = {
        "buying_power": now.buying_power,
        "regt_buying_power": now.free * min(now.multiplier, Decimal(2)),
        "non_marginable_buying_power": now.free,
        "options_buying_power": now.free,
        "cash": account.cash,
        "accrued_fees": ZERO,
        "pending_transfer_in": ZERO,
        "portfolio_value": now.equity,
        "equity": now.equity,
        "last_equity": account.last_equity,
        "long_market_value": now.long_value,
        "short_market_value": now.short_value,
        "position_market_value": now.long_value + now.short_value,
        "initial_margin": now.tied + now.orders,
        "maintenance_margin": maintenance.quantize(CENT),
        "last_maintenance_margin": ZERO,
        "sma": ZERO,
    }
    return {
        "id": account.id,
        "account_number": account.number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        **{name: text(value) for name, value in money.items()},
        "multiplier": text(now.multiplier),
        "shorting_enabled": not account.config["no_shorting"],
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": account.config["suspend_trade"],
        "created_at": stamp(account.created_at),
        "options_approved_level": 3,
        "options_trading_level": account.config["max_options_trading_level"],
    }


def position_json(world: World, account: Account, position: Position) -> dict[str, Any]:
    """A position as Alpaca writes it."""
    instrument, side = position.instrument, 1 if position.qty > 0 else -1
    price = world.accounts.prices.mark(instrument, position.average)
    value = position.qty * price * position.multiplier
    basis = position.qty * position.average * position.multiplier
    gain = value - basis
    share = gain / abs(basis) if basis else ZERO
    free, _ = available(account, instrument, -side)
    symbol = position_symbol(instrument)
    return {
        "asset_id": asset_id(symbol),
        "symbol": symbol,
        "exchange": exchange(instrument),
        "asset_class": CLASSES[instrument.asset_class],
        "asset_marginable": instrument.asset_class == "equity",
        "avg_entry_price": text(position.average),
        "qty": text(position.qty),
        "qty_available": text(side * max(ZERO, free)),
        "side": "long" if side > 0 else "short",
        "market_value": text(value),
        "cost_basis": text(basis),
        "unrealized_pl": text(gain),
        "unrealized_plpc": text(share.quantize(Decimal("1e-9"))),
        "unrealized_intraday_pl": text(gain),
        "unrealized_intraday_plpc": text(share.quantize(Decimal("1e-9"))),
        "current_price": text(price),
        "lastday_price": text(price),
        "change_today": "0",
    }


def fill_json(fill: Fill) -> dict[str, Any]:
    """A fill as an activity."""
    done = "fill" if fill.leaves == 0 else "partial_fill"
    return {
        "id": activity_id(fill),
        "activity_type": "FILL",
        "transaction_time": stamp(fill.ts),
        "type": done,
        "price": text(fill.price),
        "qty": text(fill.qty),
        "side": SIDES[fill.side],
        "symbol": fill.order.symbol,
        "leaves_qty": text(fill.leaves),
        "order_id": fill.order.id,
        "cum_qty": text(fill.cumulative),
        "order_status": "filled" if done == "fill" else "partially_filled",
    }


def activity_id(fill: Fill) -> str:
    """Time to the millisecond, then the execution: sorts by time."""
    moment = datetime.fromtimestamp(fill.ts // SECOND_NS, UTC)
    return f"{moment:%Y%m%d%H%M%S}{fill.ts // 1_000_000 % 1000:03d}::{fill.id}"


class _Pages:
    def __init__(self, world: World) -> None:
        self.world = world

    def of(self, request: web.Request) -> Account:
        return self.world.accounts[key_id_of(self.world, request)]

    async def account(self, request: web.Request) -> web.Response:
        return answer(account_json(self.world, self.of(request)))

    async def configurations(self, request: web.Request) -> web.Response:
        return answer(self.of(request).config)

    async def configure(self, request: web.Request) -> web.Response:
        """Only the words that are given and not null change: SDKs send null for the rest."""
        try:
            body = await request.json()
        except ValueError:
            raise malformed("request body format is invalid") from None
        config = self.of(request).config
        for word, value in body.items():
            kind = SETTABLE.get(word)
            if kind is None or value is None:
                continue
            if kind is bool and not isinstance(value, bool):
                raise malformed(f"invalid {word}: {value}")
            if word == "max_margin_multiplier" and str(value) not in ("1", "2", "4"):
                raise malformed("max_margin_multiplier must be 1, 2 or 4")
            config[word] = kind(value)
        return answer(config)

    async def activities(self, request: web.Request) -> web.Response:
        """Fills, newest first; every other kind of activity is known and empty."""
        query = request.query
        kind = request.match_info.get("kind", query.get("activity_types", "FILL"))
        if not kind.replace(",", "").isalpha() or not kind.isupper() or kind == "INVALID":
            raise Refusal(422, 40010001, f"invalid activity type: {kind}")
        size = query.get("page_size", str(PAGE))
        if not size.isdigit() or not 1 <= int(size) <= PAGE:
            raise malformed(f"page_size must be between 1 and {PAGE}")
        fills = [fill for fill in self.of(request).fills if not fill.busted] if "FILL" in kind.split(",") else []
        if query.get("after"):
            after = instant(query["after"], "after")
            fills = [fill for fill in fills if fill.ts > after]
        if query.get("until"):
            until = instant(query["until"], "until")
            fills = [fill for fill in fills if fill.ts < until]
        if query.get("date"):
            fills = [fill for fill in fills if stamp(fill.ts).startswith(query["date"])]
        if query.get("direction", "desc") != "asc":
            fills.reverse()
        token = query.get("page_token")
        if token:
            seen = next((i for i, fill in enumerate(fills) if activity_id(fill) == token), None)
            if seen is None:
                raise malformed(f"invalid page_token: {token}")
            fills = fills[seen + 1 :]
        return answer([fill_json(fill) for fill in fills[: int(size)]])

    async def history(self, request: web.Request) -> web.Response:
        """Equity at the end of every step of time in which the venue had any."""
        step = request.query.get("timeframe", "1Min")
        if step not in STEPS:
            raise malformed(f"invalid timeframe: {step}")
        account = self.of(request)
        last: dict[int, Decimal] = {}
        for ts, equity in account.history:
            last[ts // SECOND_NS // STEPS[step] * STEPS[step]] = equity
        base = account.start
        return answer(
            {
                "timestamp": list(last),
                "equity": [float(equity) for equity in last.values()],
                "profit_loss": [float(equity - base) for equity in last.values()],
                "profit_loss_pct": [float((equity - base) / base) if base else None for equity in last.values()],
                "base_value": float(base),
                "timeframe": step,
                "cashflow": {},
            }
        )
