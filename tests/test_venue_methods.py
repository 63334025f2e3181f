"""Every method of the installed clients, called on the venue and parsed by the client's own models.

A method that is neither called here nor left out with a reason fails a test: a new client cannot surprise anybody.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data import historical
from alpaca.data import requests as ask
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.trading import requests as order
from alpaca.trading.client import TradingClient

from gpi.formats.instruments import crypto, equity, index, option
from tests.venues import MONDAY, Ready, venue_here

CALL, PUT = "AAPL260116C00190000", "AAPL260116P00185000"
MINUTE = 60 * 10**9
START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def venue() -> Iterator[Ready]:
    """Shares, coins, options and an index, traded for three minutes after a day before."""
    listed = [equity("AAPL"), equity("MSFT"), option(CALL), option(PUT), crypto("BTC/USD"), index("SPX")]
    with venue_here(listed, MONDAY - 3 * 86_400 * 10**9, levels=2) as ready:
        ready.tick("AAPL", bid=[180, 100], ask=[181, 100], trade=[180, 100, "buy"], ts=MONDAY - 3 * 86_400 * 10**9)
        ready.tick("MSFT", bid=[410, 100], ask=[411, 100], trade=[410, 100, "buy"], ts=MONDAY - 3 * 86_400 * 10**9 + 1)
        for minute in range(3):
            for symbol, px in (("AAPL", 190), ("MSFT", 400), (CALL, 3.2), (PUT, 2.1), ("BTC/USD", 64_000)):
                at = MONDAY + minute * MINUTE
                ready.tick(symbol, bid=[px, 5000], ask=[px + 0.02, 5000], trade=[px, 10, "buy"], ts=at)
        yield ready


def bought(client: TradingClient, symbol: str = "AAPL", qty: float = 3, side: str = "buy") -> Any:
    """A market order, filled."""
    tif = "gtc" if "/" in symbol else "day"
    wish = order.MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=tif)
    return client.get_order_by_id(client.submit_order(wish).id)


def resting(client: TradingClient, **words: Any) -> Any:
    """A limit order far away."""
    told = {"symbol": "AAPL", "qty": 2, "side": "buy", "time_in_force": "gtc", "limit_price": 50, **words}
    return client.submit_order(order.LimitOrderRequest(**told))


def _submit_order(c: TradingClient) -> None:
    assert bought(c).filled_avg_price == "190.02"


def _get_orders(c: TradingClient) -> None:
    """status, symbols, side, limit, direction, after and until: each leaves out what it should."""
    c.cancel_orders()
    first, second = resting(c), resting(c, symbol="MSFT", side="sell", limit_price=500, time_in_force="day")
    bracket = order.LimitOrderRequest(
        symbol="AAPL", qty=1, side="buy", time_in_force="day", limit_price=40, order_class="bracket",
        take_profit={"limit_price": 60}, stop_loss={"stop_price": 30},
    )  # fmt: skip
    third = c.submit_order(bracket)

    def ids(**words: Any) -> list[UUID]:
        return [each.id for each in c.get_orders(order.GetOrdersRequest(**words))]

    legs = [leg.id for leg in third.legs]
    assert ids(nested=True) == [third.id, second.id, first.id]
    assert set(ids()) == {first.id, second.id, third.id, *legs}
    assert ids(direction="asc", limit=2) == [first.id, second.id]
    assert ids(symbols=["MSFT"]) == ids(side="sell", symbols=["MSFT", "GOOG"]) == [second.id]
    at = c.get(f"/orders/{second.id}")["submitted_at"]  # to the nanosecond, which the client's own times are not
    assert [each["id"] for each in c.get("/orders", {"after": at, "nested": True})] == [str(third.id)]
    assert [each["id"] for each in c.get("/orders", {"until": at})] == [str(first.id)]
    assert ids(after=datetime(2026, 1, 6)) == ids(until=datetime(2026, 1, 4)) == []
    nested = c.get_orders(order.GetOrdersRequest(nested=True, symbols=["AAPL"]))
    assert [len(each.legs or []) for each in nested] == [2, 0]
    raw = c.get("/orders", {"asset_class": "us_equity", "before_order_id": str(second.id), "nested": True})
    assert [each["id"] for each in raw] == [str(first.id)]
    c.cancel_order_by_id(first.id)
    assert first.id not in ids() and first.id in ids(status="closed") and first.id in ids(status="all")
    c.cancel_orders()


def _get_order_by_id(c: TradingClient) -> None:
    made = resting(c)
    assert c.get_order_by_id(made.id, order.GetOrderByIdRequest(nested=True)).id == made.id
    with pytest.raises(APIError, match="not found"):
        c.get_order_by_id(uuid4())


def _get_order_by_client_id(c: TradingClient) -> None:
    name = uuid4().hex
    assert c.get_order_by_client_id(resting(c, client_order_id=name).client_order_id).client_order_id == name


def _replace_order_by_id(c: TradingClient) -> None:
    made = resting(c)
    new = c.replace_order_by_id(made.id, order.ReplaceOrderRequest(qty=1, limit_price=51, time_in_force="day"))
    assert (new.replaces, new.qty, new.limit_price) == (made.id, "1", "51")


def _cancel_orders(c: TradingClient) -> None:
    made = resting(c)
    assert made.id in [each.id for each in c.cancel_orders()]
    assert c.get_order_by_id(made.id).status == "canceled"


def _cancel_order_by_id(c: TradingClient) -> None:
    made = resting(c)
    c.cancel_order_by_id(made.id)
    with pytest.raises(APIError) as refused:
        c.cancel_order_by_id(made.id)
    assert refused.value.status_code == 422


def _get_all_positions(c: TradingClient) -> None:
    bought(c)
    assert "AAPL" in [each.symbol for each in c.get_all_positions()]


def _get_open_position(c: TradingClient) -> None:
    bought(c)
    found = c.get_open_position("AAPL")
    assert c.get_open_position(found.asset_id).qty == found.qty


def _close_position(c: TradingClient) -> None:
    """All of it, some shares of it, some percent of it; not both."""
    c.close_all_positions(cancel_orders=True)
    bought(c, qty=8)
    c.close_position("AAPL", order.ClosePositionRequest(qty="4"))
    c.close_position("AAPL", order.ClosePositionRequest(percentage="50"))
    assert c.get_open_position("AAPL").qty == "2"
    with pytest.raises(APIError):
        c.delete("/positions/AAPL", {"qty": 1, "percentage": 1})
    c.close_position("AAPL")
    with pytest.raises(APIError, match="position does not exist"):
        c.get_open_position("AAPL")


def _close_all_positions(c: TradingClient) -> None:
    bought(c)
    bought(c, "BTC/USD", 0.1)
    assert {each.status for each in c.close_all_positions(cancel_orders=True)} == {200}
    assert c.get_all_positions() == []


def _exercise_options_position(c: TradingClient) -> None:
    """A long call becomes shares at its strike, at once; what is not held, short or a share cannot."""
    c.close_all_positions(cancel_orders=True)
    bought(c, CALL, 1)
    before = Decimal(c.get_account().cash)
    c.exercise_options_position(CALL)
    assert {each.symbol: each.qty for each in c.get_all_positions()} == {"AAPL": "100"}
    assert c.get_open_position("AAPL").avg_entry_price == "190"
    assert Decimal(c.get_account().cash) == before - 19_000
    (told,) = c.get("/account/activities/OPEXC")
    assert (told["symbol"], told["qty"], told["net_amount"]) == (CALL, "-1", "-19000")
    with pytest.raises(APIError, match="position does not exist"):
        c.exercise_options_position(CALL)
    with pytest.raises(APIError, match="only long option"):
        c.post("/positions/AAPL/exercise")
    bought(c, PUT, 1)
    assert c.post(f"/positions/{PUT}/do-not-exercise") == {}
    c.exercise_options_position(c.get_option_contract(PUT).id)
    assert c.get_all_positions() == [], "the shares have been sold at the strike of the put"


def _get_portfolio_history(c: TradingClient) -> None:
    """By period and by times, in steps of a minute and of a day, against the day's beginning."""
    whole = c.get_portfolio_history()
    assert whole.timeframe == "1D" and whole.base_value == 100_000 and len(whole.timestamp) >= 1
    asked = order.GetPortfolioHistoryRequest
    fine = c.get_portfolio_history(asked(period="1D", timeframe="1Min", intraday_reporting="continuous"))
    assert fine.timeframe == "1Min" and len(fine.timestamp) == len(fine.equity) == len(fine.profit_loss_pct) >= 2
    assert sorted(set(fine.timestamp)) == fine.timestamp
    start = datetime.fromtimestamp((MONDAY + MINUTE) // 10**9, UTC)
    late = c.get_portfolio_history(asked(start=start, timeframe="1Min", cashflow_types="ALL", pnl_reset="no_reset"))
    assert late.timestamp and late.timestamp[0] >= start.timestamp() - 60
    for wrong in (asked(timeframe="2Min"), asked(period="2A", timeframe="1Min"), asked(period="x")):
        with pytest.raises(APIError):
            c.get_portfolio_history(wrong)


def _get_all_assets(c: TradingClient) -> None:
    asked = order.GetAssetsRequest
    assert {each.symbol for each in c.get_all_assets()} == {"AAPL", "MSFT", "BTC/USD"}
    assert {each.symbol for each in c.get_all_assets(asked(asset_class="us_equity"))} == {"AAPL", "MSFT"}
    assert {each.symbol for each in c.get_all_assets(asked(exchange="CRYPTO"))} == {"BTC/USD"}
    assert c.get_all_assets(asked(status="inactive")) == c.get_all_assets(asked(attributes="ptp_no_exception")) == []


def _get_asset(c: TradingClient) -> None:
    found = c.get_asset("BTC/USD")
    assert c.get_asset(found.id) == found and c.get_asset("BTCUSD") == found
    with pytest.raises(APIError):
        c.get_asset("NOPE")


def _get_clock(c: TradingClient) -> None:
    assert c.get_clock().is_open


def _get_calendar(c: TradingClient) -> None:
    days = c.get_calendar(order.GetCalendarRequest(start=date(2026, 7, 1), end=date(2026, 7, 6)))
    assert [each.date.day for each in days] == [1, 2, 6]


def _get_account(c: TradingClient) -> None:
    assert c.get_account().status == "ACTIVE"


def _get_account_configurations(c: TradingClient) -> None:
    assert c.get_account_configurations().max_margin_multiplier == "4"


def _set_account_configurations(c: TradingClient) -> None:
    """What is set holds: no new orders, no options; and is told again."""
    config = c.get_account_configurations()
    config.suspend_trade, config.max_options_trading_level = True, 0
    assert c.set_account_configurations(config).suspend_trade is True
    with pytest.raises(APIError, match="suspended"):
        resting(c)
    config.suspend_trade = False
    c.set_account_configurations(config)
    with pytest.raises(APIError, match="options"):
        bought(c, CALL, 1)
    c.patch("/account/configurations", {"max_options_trading_level": 3})
    with pytest.raises(APIError):
        c.patch("/account/configurations", {"suspend_trade": "yes"})


def _listed(c: TradingClient) -> Any:
    """A watchlist, the only one."""
    for each in c.get_watchlists():
        c.delete_watchlist_by_id(each.id)
    return c.create_watchlist(order.CreateWatchlistRequest(name="mine", symbols=["AAPL", "BTC/USD"]))


def _get_watchlists(c: TradingClient) -> None:
    assert [each.id for each in c.get_watchlists()] == [_listed(c).id] or c.get_watchlists()[0].name == "mine"


def _get_watchlist_by_id(c: TradingClient) -> None:
    made = _listed(c)
    assert [each.symbol for each in c.get_watchlist_by_id(made.id).assets] == ["AAPL", "BTC/USD"]
    assert c.get("/watchlists:by_name", {"name": "mine"})["id"] == str(made.id)
    with pytest.raises(APIError, match="not found"):
        c.get_watchlist_by_id(uuid4())


def _create_watchlist(c: TradingClient) -> None:
    _listed(c)
    for name, symbols in (("mine", []), ("other", ["NOPE"]), ("", [])):
        with pytest.raises(APIError):
            c.create_watchlist(order.CreateWatchlistRequest(name=name, symbols=symbols))


def _update_watchlist_by_id(c: TradingClient) -> None:
    made = _listed(c)
    new = c.update_watchlist_by_id(made.id, order.UpdateWatchlistRequest(name="yours", symbols=["MSFT"]))
    assert new.name == "yours" and [each.symbol for each in new.assets] == ["MSFT"]
    assert c.put("/watchlists:by_name?name=yours", {"name": "ours"})["name"] == "ours"


def _add_asset_to_watchlist_by_id(c: TradingClient) -> None:
    made = _listed(c)
    assert [each.symbol for each in c.add_asset_to_watchlist_by_id(made.id, "MSFT").assets][-1] == "MSFT"
    with pytest.raises(APIError, match="duplicate"):
        c.add_asset_to_watchlist_by_id(made.id, "MSFT")


def _remove_asset_from_watchlist_by_id(c: TradingClient) -> None:
    made = _listed(c)
    assert [each.symbol for each in c.remove_asset_from_watchlist_by_id(made.id, "BTC/USD").assets] == ["AAPL"]


def _delete_watchlist_by_id(c: TradingClient) -> None:
    c.delete_watchlist_by_id(_listed(c).id)
    assert c.get_watchlists() == []


def _get_corporate_announcements(c: TradingClient) -> None:
    asked = order.GetCorporateAnnouncementsRequest(ca_types=["dividend"], since="2026-01-01", until="2026-01-30")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert c.get_corporate_announcements(asked) == []


def _get_corporate_announcement_by_id(c: TradingClient) -> None:
    with pytest.raises(APIError, match="not found"):
        c.get_corporate_announcement_by_id(uuid4())


def _get_option_contracts(c: TradingClient) -> None:
    """Every filter, and pages."""
    asked = order.GetOptionContractsRequest

    def found(**words: Any) -> list[str]:
        return [each.symbol for each in c.get_option_contracts(asked(**words)).option_contracts]

    assert found(underlying_symbols=["MSFT", "AAPL"]) == found(root_symbol="AAPL") == [CALL, PUT]
    assert found(type="put") == found(strike_price_lte="186") == [PUT] and found(strike_price_gte="190") == [CALL]
    assert found(expiration_date="2026-01-16") == found(expiration_date_gte=date(2026, 1, 6)) == [CALL, PUT]
    assert found(expiration_date_lte=date(2026, 1, 6)) == found(status="inactive") == found(style="european") == []
    page = c.get_option_contracts(asked(limit=1))
    rest = c.get_option_contracts(asked(limit=1, page_token=page.next_page_token))
    assert [each.symbol for each in (*page.option_contracts, *rest.option_contracts)] == [CALL, PUT]
    assert rest.next_page_token is None


def _get_option_contract(c: TradingClient) -> None:
    found = c.get_option_contract(CALL)
    assert c.get_option_contract(found.id).symbol == CALL


def _bars(c: Any) -> None:
    asked = ask.StockBarsRequest(symbol_or_symbols=["AAPL"], timeframe=ask.TimeFrame.Minute, start=START)
    assert len(c.get_stock_bars(asked)["AAPL"]) == 2, "the third minute is not over"


BTC = {"symbol_or_symbols": "BTC/USD"}
SHARE = {"symbol_or_symbols": ["AAPL", "MSFT"]}
DATA: Final[dict[str, Callable[[Any], Any]]] = {  # what each gives must not be empty
    "get_stock_bars": _bars,
    "get_stock_quotes": lambda c: c.get_stock_quotes(ask.StockQuotesRequest(**SHARE, start=START))["AAPL"],
    "get_stock_trades": lambda c: c.get_stock_trades(ask.StockTradesRequest(**SHARE, start=START))["MSFT"],
    "get_stock_latest_bar": lambda c: c.get_stock_latest_bar(ask.StockLatestBarRequest(**SHARE))["AAPL"],
    "get_stock_latest_quote": lambda c: c.get_stock_latest_quote(ask.StockLatestQuoteRequest(**SHARE))["AAPL"],
    "get_stock_latest_trade": lambda c: c.get_stock_latest_trade(ask.StockLatestTradeRequest(**SHARE))["AAPL"],
    "get_stock_snapshot": lambda c: c.get_stock_snapshot(ask.StockSnapshotRequest(**SHARE))["AAPL"].daily_bar,
    "get_crypto_bars": lambda c: c.get_crypto_bars(
        ask.CryptoBarsRequest(**BTC, timeframe=ask.TimeFrame.Minute, start=START)
    )["BTC/USD"],
    "get_crypto_quotes": lambda c: c.get_crypto_quotes(ask.CryptoQuoteRequest(**BTC, start=START))["BTC/USD"],
    "get_crypto_trades": lambda c: c.get_crypto_trades(ask.CryptoTradesRequest(**BTC, start=START))["BTC/USD"],
    "get_crypto_latest_bar": lambda c: c.get_crypto_latest_bar(ask.CryptoLatestBarRequest(**BTC)),
    "get_crypto_latest_quote": lambda c: c.get_crypto_latest_quote(ask.CryptoLatestQuoteRequest(**BTC)),
    "get_crypto_latest_trade": lambda c: c.get_crypto_latest_trade(ask.CryptoLatestTradeRequest(**BTC)),
    "get_crypto_latest_orderbook": lambda c: c.get_crypto_latest_orderbook(ask.CryptoLatestOrderbookRequest(**BTC)),
    "get_crypto_snapshot": lambda c: c.get_crypto_snapshot(ask.CryptoSnapshotRequest(**BTC))["BTC/USD"].latest_trade,
    "get_option_bars": lambda c: c.get_option_bars(
        ask.OptionBarsRequest(symbol_or_symbols=CALL, timeframe=ask.TimeFrame.Minute, start=START)
    )[CALL],
    "get_option_trades": lambda c: c.get_option_trades(
        ask.OptionTradesRequest(symbol_or_symbols=CALL, start=START)
    )[CALL],
    "get_option_latest_quote": lambda c: c.get_option_latest_quote(
        ask.OptionLatestQuoteRequest(symbol_or_symbols=CALL)
    )[CALL],
    "get_option_latest_trade": lambda c: c.get_option_latest_trade(
        ask.OptionLatestTradeRequest(symbol_or_symbols=CALL)
    )[CALL],
    "get_option_snapshot": lambda c: c.get_option_snapshot(
        ask.OptionSnapshotRequest(symbol_or_symbols=CALL)
    )[CALL].greeks,
    "get_option_chain": lambda c: c.get_option_chain(ask.OptionChainRequest(underlying_symbol="AAPL"))[PUT],
    "get_option_exchange_codes": lambda c: c.get_option_exchange_codes(),
    "get_news": lambda c: c.get_news(ask.NewsRequest(symbols="AAPL")).data["news"] == [],
    "get_corporate_actions": lambda c: (
        c.get_corporate_actions(ask.CorporateActionsRequest(symbols=["AAPL"], start=date(2026, 1, 1))).data == {}
    ),
    "get_most_actives": lambda c: [
        each.symbol for each in c.get_most_actives(ask.MostActivesRequest(by="trades", top=5)).most_actives
    ] == ["AAPL", "MSFT"],
    "get_market_movers": lambda c: [
        [each.symbol for each in side] for m in [c.get_market_movers(ask.MarketMoversRequest(market_type="stocks"))]
        for side in (m.gainers, m.losers)
    ] == [["AAPL"], ["MSFT"]],
}  # fmt: skip
PLUMBING: Final = {"get", "post", "put", "patch", "delete", "response_wrapper"}  # under all others, called by them
CLIENTS: Final = {
    name: client
    for name, client in inspect.getmembers(historical, inspect.isclass)
    if name.endswith("Client") and name != "RESTClient"
} | {"CorporateActionsClient": CorporateActionsClient}


def methods(client: type) -> list[str]:
    """What a user may call."""
    found = [name for name, _ in inspect.getmembers(client, inspect.isfunction) if name[0] != "_"]
    return [name for name in found if name not in PLUMBING]


@pytest.mark.parametrize("name", methods(TradingClient))
def test_trading_client(venue: Ready, name: str) -> None:
    """Each method of the installed TradingClient, by the function of its name here."""
    client = venue.trading()
    called = globals().get(f"_{name}")
    assert called is not None, f"TradingClient.{name} is new: call it here, or say why not"
    venue.tick("AAPL", bid=[190, 5000], ask=[190.02, 5000])
    for symbol, px in ((CALL, 3.2), (PUT, 2.1), ("BTC/USD", 64_000)):
        venue.tick(symbol, bid=[px, 5000], ask=[px + 0.02, 5000])
    called(client)


@pytest.mark.parametrize("name", [(c, m) for c in CLIENTS for m in methods(CLIENTS[c])], ids=".".join)
def test_data_clients(venue: Ready, name: tuple[str, str]) -> None:
    """Each method of every client of market data."""
    client = CLIENTS[name[0]](venue.key_id, venue.secret, url_override=venue.url)
    venue.closing.append(client._session.close)
    assert name[1] in DATA, f"{'.'.join(name)} is new: call it here, or say why not"
    found = DATA[name[1]](client)
    assert found is None or found, "nothing there"


POLYGON_LEFT_OUT: Final = (  # by what their names begin with, and why
    (("get_ema", "get_macd", "get_rsi", "get_sma"), "indicators: the system computes its own"),
    (("get_etf", "list_benzinga", "list_eu", "list_tmx", "list_stocks_", "list_financials"), "partners' data"),
    (("list_inflation", "list_labor", "list_treasury", "list_short"), "the economy's data"),
    (("get_futures", "list_futures", "get_last_forex", "get_real_time"), "futures and currencies are not traded here"),
    (("list_tickers", "get_ticker_", "list_ticker", "list_conditions", "get_exchanges", "list_dividends", "list_splits",
      "get_options_contract", "list_options_contracts", "get_related", "get_summaries"), "reference data"),
    (("time_mult", "__"), "no request"),
)  # fmt: skip
DAY = ("2026-01-02", "2026-01-05")
POLYGON: Final[dict[str, Callable[[Any], Any]]] = {
    "get_aggs": lambda c: c.get_aggs("AAPL", 1, "minute", *DAY),
    "list_aggs": lambda c: list(c.list_aggs("AAPL", 1, "minute", *DAY, limit=1)),
    "get_daily_open_close_agg": lambda c: c.get_daily_open_close_agg("AAPL", DAY[1]).close == 190,
    "get_grouped_daily_aggs": lambda c: c.get_grouped_daily_aggs(DAY[0]),
    "get_previous_close_agg": lambda c: c.get_previous_close_agg("AAPL"),
    "get_last_crypto_trade": lambda c: c.get_last_crypto_trade("BTC", "USD").price == 64_000,
    "get_last_quote": lambda c: c.get_last_quote("AAPL").bid_price == 190,
    "get_last_trade": lambda c: c.get_last_trade("AAPL").price == 190,
    "get_market_holidays": lambda c: c.get_market_holidays(),
    "get_market_status": lambda c: c.get_market_status().market == "open",
    "get_snapshot_all": lambda c: c.get_snapshot_all("stocks"),
    "get_snapshot_crypto_book": lambda c: c.get_snapshot_crypto_book("X:BTCUSD").bids,
    "get_snapshot_direction": lambda c: [e.ticker for e in c.get_snapshot_direction("stocks", "gainers")] == ["AAPL"],
    "get_snapshot_indices": lambda c: c.get_snapshot_indices(["I:SPX"]),
    "get_snapshot_option": lambda c: c.get_snapshot_option("AAPL", f"O:{CALL}").last_quote.bid == 3.2,
    "get_snapshot_ticker": lambda c: c.get_snapshot_ticker("stocks", "AAPL").last_trade.price == 190,
    "list_quotes": lambda c: list(c.list_quotes("AAPL", limit=2)),
    "list_trades": lambda c: list(c.list_trades("AAPL", limit=2)),
    "list_snapshot_indices": lambda c: list(c.list_snapshot_indices(["I:SPX"])),
    "list_snapshot_options_chain": lambda c: len(list(c.list_snapshot_options_chain("AAPL", {"limit": 1}))) == 2,
    "list_universal_snapshots": lambda c: list(c.list_universal_snapshots(ticker_any_of=["AAPL", f"O:{CALL}"])),
}  # fmt: skip


def _massive() -> Any:
    from massive import RESTClient

    return RESTClient


def _asked_of_polygon() -> list[str]:
    left = tuple(begin for begins, _ in POLYGON_LEFT_OUT for begin in begins)
    return [name for name in methods(_massive()) if not name.startswith(left)]


@pytest.mark.parametrize("name", _asked_of_polygon())
def test_massive_client(venue: Ready, name: str) -> None:
    """Each method of the installed Polygon client, but for what is left out with a reason."""
    assert name in POLYGON, f"RESTClient.{name} is new: call it here, or say why not"
    assert POLYGON[name](_massive()(venue.secret, base=venue.url, retries=0))


def test_no_reason_is_stale() -> None:
    """What is left out is there, and what is called, too."""
    everything = methods(_massive())
    begins = [begin for begins, _ in POLYGON_LEFT_OUT for begin in begins if begin != "__"]
    assert [begin for begin in begins if not any(name.startswith(begin) for name in everything)] == []
    assert sorted(set(POLYGON) - set(everything)) == []
    assert sorted(set(DATA) - {name for client in CLIENTS.values() for name in methods(client)}) == []
