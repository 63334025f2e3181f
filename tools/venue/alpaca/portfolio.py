"""Account REST: the account and its configuration; and a position's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from gpi.tools.venue.accounts.account import Account, Position
from gpi.tools.venue.accounts.margin import MAINTENANCE, available, worth
from gpi.tools.venue.alpaca.assets import CLASSES, asset_id, exchange, position_symbol
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import CENT, ZERO, stamp, text
from gpi.tools.venue.reading import body_of
from gpi.tools.venue.refusals import answer, malformed
from gpi.tools.venue.world import World

EITHER: Final = (True, False)
SETTABLE: Final[dict[str, tuple[Any, ...]]] = {  # what each word of the configuration may be
    "suspend_trade": EITHER,
    "no_shorting": EITHER,
    "fractional_trading": EITHER,
    "max_margin_multiplier": ("1", "2", "4", 1, 2, 4),
    "trade_confirm_email": ("all", "none"),
    "ptp_no_exception_entry": EITHER,
    "max_options_trading_level": (0, 1, 2, 3),
    "disable_overnight_trading": EITHER,
}


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Everything under /v2/account."""
    pages = _Pages(world)
    return [
        web.get("/v2/account", pages.account),
        web.get("/v2/account/configurations", pages.configurations),
        web.patch("/v2/account/configurations", pages.configure),
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
        body = await body_of(request)
        if not isinstance(body, Mapping):
            raise malformed("request body format is invalid")
        config = self.of(request).config
        changes = {word: value for word, value in body.items() if word in SETTABLE and value is not None}
        for word, value in changes.items():
            if value not in SETTABLE[word] or isinstance(value, bool) != isinstance(SETTABLE[word][0], bool):
                raise malformed(f"invalid {word}: {str(value)[:40]}")
        config |= {word: str(value) if word == "max_margin_multiplier" else value for word, value in changes.items()}
        return answer(config)
