"""Vendors' bytes become ticks: like plain Python reads them, whatever is cut, flipped or odd."""

import json
import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats import quarantine
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Reason
from gpi.formats.words import DEPTH, GAP, HALTED, HIDDEN, NO_PRICE, OFF_EXCHANGE, QUOTE, SNAPSHOT, STATUS, TRADE
from gpi.tools.feeds.live.decoding import Decoded, Decoder, Vendor
from gpi.tools.feeds.live.wire_names import instrument
from gpi.tools.kernels.data import conditions, flaws
from gpi.tools.kernels.data import msgpack as walker
from gpi.tools.kernels.data.decoding import ROW

T = 1_700_000_000_123_456_789
DAY = 86_400 * 10**9
Item = dict[str, Any]


def quote(symbol: str = "AAPL", **changes: Any) -> Item:
    """An Alpaca quote."""
    item = {"T": "q", "S": symbol, "bx": "V", "bp": 100.01, "bs": 3, "ax": "Q", "ap": 100.05, "as": 5, "c": ["R"]}
    return {**item, "z": "C", "t": T, **changes}


def trade(symbol: str = "AAPL", **changes: Any) -> Item:
    """An Alpaca trade."""
    return {"T": "t", "i": 77, "S": symbol, "x": "V", "p": 100.02, "s": 10, "c": ["@"], "z": "C", "t": T, **changes}


def packed(items: list[Any]) -> bytes:
    """As msgpack, times as its extension."""
    return bytes(msgpack.packb([_timed(each, msgpack.Timestamp.from_unix_nano) for each in items]))


def worded(items: list[Any]) -> bytes:
    """As Alpaca's JSON, times as RFC-3339 with nanoseconds."""
    return json.dumps([_timed(each, lambda ts: f"{np.datetime64(ts, 'ns')}Z") for each in items]).encode()


def _timed(item: Any, told: Any) -> Any:
    return {**item, "t": told(item["t"])} if isinstance(item, dict) and isinstance(item.get("t"), int) else item


def polygon(items: list[Item]) -> bytes:
    """The same quotes and trades as Polygon says them, times in ms, numbered."""
    made = []
    for n, item in enumerate(items, start=1):
        kind = str(item["T"]).upper()
        keys = ("bp", "bs", "ap", "as") if kind == "Q" else ("p", "s")
        made.append({"ev": kind, "sym": item["S"], **{k: item[k] for k in keys}, "t": item["t"] // 10**6, "q": n})
    return json.dumps(made, separators=(",", ":")).encode()


def decoder(vendor: Vendor = "alpaca", asset: str = "stocks", levels: int = 0) -> Decoder:
    """A fresh one."""
    return Decoder(vendor, asset, Instruments(), levels)


def rows(decoded: Decoded) -> list[tuple[Any, ...]]:
    """Rows without what depends on the decoder's own numbering; NaN as None."""
    if decoded.frame is None:
        return []
    names = [name for name in decoded.frame.columns if name not in ("ts_recv",)]
    values = zip(*(decoded.frame[name].tolist() for name in names), strict=True)
    return [tuple(None if v != v else v for v in row) for row in values]


def expected(items: list[Item], seqs: bool = False) -> list[tuple[Any, ...]]:
    """The definition: one row an item, read by plain Python."""
    made, ids = [], dict[str, int]()
    for n, item in enumerate(items, start=1):
        i = ids.setdefault(item["S"], len(ids))
        if item["T"] == "q":
            seq, kind = (n if seqs else 0), QUOTE
            sides = [(item["bp"], item["bs"]), (item["ap"], item["as"])]
            told = [x for px, sz in sides for x in ((None, 0.0) if px == sz == 0 else (float(px), float(sz)))]
            made.append((item["t"], i, kind, 0, 0, seq, *told, None, 0.0))
        else:
            seq = n if seqs else item["i"]
            marks = 0 if seqs else (OFF_EXCHANGE if item["x"] == "D" else 0) | (HIDDEN if "H" in item["c"] else 0)
            marks |= OFF_EXCHANGE | NO_PRICE if not seqs and "4" in item["c"] else 0  # a derivative's price
            made.append((item["t"], i, TRADE, 0, marks, seq, None, 0.0, None, 0.0, float(item["p"]), float(item["s"])))
    return made


symbol = st.sampled_from(["AAPL", "BRK.B", "A", "SPY", "ZVZZT"])
price = st.floats(50.0, 150.0) | st.integers(50, 150) | st.integers(5000, 15000).map(lambda cents: cents / 100)
size = st.integers(0, 2**40).map(lambda n: min(n, 10**11)) | st.floats(0.001, 1e6)
when = st.integers(T - 10**12, T)
quotes = st.builds(
    lambda s, px, spread, bs, asz, t: quote(s, bp=px, ap=px + spread, bs=bs, t=t, **{"as": asz}),
    symbol, price, st.floats(0, 1), size, size, when,
)  # fmt: skip
trades = st.builds(
    lambda s, p, sz, t, i, x, c: trade(s, p=p, s=sz, t=t, i=i, x=x, c=c),
    symbol, price, size.filter(bool), when, st.integers(0, 2**62), st.sampled_from(["V", "D"]),
    st.lists(st.sampled_from(["@", "H", "I", "4"]), max_size=4),
)  # fmt: skip
items = st.lists(quotes | trades, min_size=1, max_size=8)


@settings(deadline=None)
@given(items)
def test_both_of_alpacas_wires_say_the_same(told: list[Item]) -> None:
    """Every number to the bit, every time to the nanosecond."""
    assert rows(decoder().decode(packed(told), T)) == expected(told)
    assert rows(decoder().decode(worded(told), T)) == expected(told)


@settings(deadline=None)
@given(items)
def test_polygon_says_it_in_milliseconds_and_numbers_it(told: list[Item]) -> None:
    """The sequence number is kept."""
    whole = [{**item, "t": item["t"] // 10**6 * 10**6} for item in told]
    assert rows(decoder("polygon").decode(polygon(told), T)) == expected(whole, seqs=True)


@settings(deadline=None)
@given(items, st.integers(1, 4))
def test_batches_change_nothing(told: list[Item], cut: int) -> None:
    """Messages one by one, or all at once."""
    messages = [packed(told[k : k + cut]) for k in range(0, len(told), cut)]
    one, many = decoder(), decoder()
    apart = [row for message in messages for row in rows(one.decode(message, T))]
    assert rows(many.decode_many(messages, [T] * len(messages))) == apart


@pytest.mark.parametrize("spell", [packed, worded])
def test_a_message_cut_anywhere_gives_what_came_before(spell: Any) -> None:
    """The whole items before the cut are rows, in order; the rest is told as one rejection, never an error."""
    told = [quote("AAPL"), trade("SPY"), quote("A", bp=0, bs=0), trade()]
    whole = spell(told)
    for cut in range(len(whole)):
        found = decoder().decode(whole[:cut], T)
        got = rows(found)
        assert got == expected(told)[: len(got)]
        assert len(got) == 4 or found.rejected or cut == 0


@pytest.mark.parametrize("spell", [packed, worded])
@pytest.mark.parametrize("flip", [1, 128, 255])
def test_any_byte_may_be_wrong(spell: Any, flip: int) -> None:
    """Never an error, and never more items than there were and one for the rest."""
    told = [quote("AAPL"), trade("SPY"), quote("A")]
    whole = spell(told)
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        found = decoder().decode(damaged, T)
        assert len(rows(found)) <= 3
        assert rows(found) or found.rejected or found.controls or found.bars


BAD: list[tuple[Any, Reason | str]] = [
    (quote(bp=math.nan), Reason.NOT_FINITE), (quote(ap=math.inf), Reason.NOT_FINITE), (quote(bp=-1.0), Reason.NEGATIVE),
    (quote(bs=-5), Reason.NEGATIVE), (quote(bp=0), Reason.ZERO_PRICE), (quote(bp=101.0), Reason.CROSSED),
    (trade(s=0), Reason.ZERO_SIZE), (trade(p=1e5), Reason.ABSURD_PRICE), (quote(t=T + 2 * DAY), Reason.FUTURE),
    (quote(t=1), Reason.ABSURD_TIME), (quote(bp=None), "malformed"), (quote(bp="x"), "malformed"),
    ({"T": "q", "S": "AAPL"}, "malformed"), (quote(S=""), Reason.NO_SYMBOL), (quote(T="?"), Reason.UNKNOWN_EVENT),
    (None, "malformed"), (7, "malformed"), ("text", "malformed"), ([], "malformed"), (trade(s=True), "malformed"),
]  # fmt: skip


@pytest.mark.parametrize("spell", [packed, worded])
@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_one_bad_item_never_loses_its_neighbours(spell: Any, bad: Any, reason: Reason | str) -> None:
    """It is told with its reason and its bytes; the good ones are all there."""
    good = [quote(), trade("SPY", p=50), quote("A")]
    found = decoder().decode(spell([*good, bad, *good]), T)
    assert rows(found) == expected([*good, *good])
    assert [each.reason for each in found.rejected] == [reason] and found.rejected[0].raw


def test_the_same_reasons_have_the_same_numbers() -> None:
    """Kernels know only numbers."""
    for name in ("ABSURD_TIME", "FUTURE", "NOT_FINITE", "NEGATIVE", "ZERO_PRICE", "ZERO_SIZE", "ABSURD_PRICE"):
        assert getattr(flaws, name) == Reason[name]
    assert (flaws.ABSURD_SIZE, flaws.CROSSED) == (Reason.ABSURD_SIZE, Reason.CROSSED)


odd = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1.0, 2.0, 1e10, 1e13])


@settings(deadline=None)
@given(odd, odd, odd, odd, st.sampled_from([QUOTE, TRADE]), st.sampled_from([0, T, T + 2 * DAY]))
def test_a_row_is_judged_as_files_are(a: float, b: float, c: float, d: float, kind: int, ts: int) -> None:
    """The kernel's flaw is the quarantine's."""
    row = np.zeros(1, ROW)[0]
    row.ts_event, row.ts_recv, row.kind = ts, T, kind
    row.bid_px, row.bid_sz, row.ask_px, row.ask_sz, row.trade_px, row.trade_sz = a, b, c, d, a, b
    columns = {name: np.array([row[name]]) for name in ROW.names or () if name != "marks"}
    assert flaws.flaw(row, quarantine.FUTURE_NS, 1 << 62) == quarantine.flaws(columns)[0]


def test_a_price_that_leaps_is_not_believed_until_the_feed_insists() -> None:
    """One wild print is set aside; after twenty in a row the world has changed."""
    one = decoder()
    assert one.decode(packed([trade()] * 3), T).rejected == []
    found = one.decode(packed([trade(p=100_000.0)] * 25), T)
    assert [len(rows(found)), len(found.rejected)] == [5, 20]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-9, max_value=1e8))
def test_numbers_are_rounded_as_python_rounds_them(px: float) -> None:
    """However many digits."""
    for text in (repr(px), f"{px:.25f}", f"{px:e}"):
        message = b'[{"ev":"T","sym":"A","p":%s,"s":1,"t":1700000000000,"q":1}]' % text.encode()
        found = decoder("polygon").decode(message, T)
        assert [row[-2] for row in rows(found)] == [float(text)] or float(text) == 0


def test_thousands_of_symbols_are_met_and_found_again() -> None:
    """The first time by the slow road, then by the fast one, with the same ids."""
    names = [f"{chr(65 + n % 26)}{chr(65 + n // 26 % 26)}{chr(65 + n // 676)}" for n in range(3000)]
    one = decoder()
    first = one.decode(packed([quote(name) for name in names]), T)
    again = one.decode(packed([quote(name) for name in reversed(names)]), T)
    assert first.frame is not None and again.frame is not None
    assert first.frame["instrument_id"].tolist() == list(range(3000))
    assert again.frame["instrument_id"].tolist() == list(reversed(range(3000)))
    assert one.instruments.symbols == tuple(names)


def test_controls_and_bars_are_no_rows_and_no_dirt() -> None:
    """They stand between rows without touching them."""
    said = [{"T": "subscription", "quotes": ["AAPL"]}, quote(), {"T": "b", "S": "A"}, {"T": "x", "S": "A", "i": 9}]
    found = decoder().decode(packed(said), T)
    assert len(rows(found)) == 1 and found.bars == 1 and found.rejected == []
    assert [each["T"] for each in found.controls] == ["subscription", "x"]


def test_a_halt_is_a_status_and_an_unknown_code_is_not_guessed() -> None:
    """Trading is never opened by a code that nobody knows."""
    said = [{"T": "s", "S": "AAPL", "sc": code, "sm": "", "rc": "", "rm": "", "t": T, "z": "C"} for code in "HT?"]
    found = decoder().decode(packed(said), T)
    assert found.frame is not None and found.frame["kind"].tolist() == [STATUS, STATUS]
    assert found.frame["flags"].tolist() == [HALTED, 0]
    assert [each.reason for each in found.rejected] == ["unknown status"]


def book(bids: list[tuple[float, float]], asks: list[tuple[float, float]], **more: Any) -> Item:
    """An update of a coin's book."""
    sides = {name: [{"p": px, "s": size} for px, size in side] for name, side in (("b", bids), ("a", asks))}
    return {"T": "o", "S": "BTC/USD", "t": T, **sides, **more}


def test_a_book_is_folded_level_by_level() -> None:
    """The whole, a change, a level gone."""
    one = decoder(asset="crypto", levels=2)
    whole = book([(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0)], r=True)
    found = one.decode(packed([whole, book([(99.0, 0)], [(100.0, 5.0)])]), T)
    assert found.frame is not None and found.rejected == []
    assert found.frame["kind"].tolist() == [QUOTE | DEPTH] * 2 and found.frame["flags"].tolist() == [SNAPSHOT, 0]
    assert found.frame["bids_px"][0].tolist() == [99.0, 98.0] and found.frame["bid_px"].tolist() == [99.0, 98.0]
    assert found.frame["asks_px"][1].tolist() == [100.0, 101.0] and found.frame["asks_sz"][1].tolist() == [5.0, 3.0]


FLAWED_BOOKS: list[tuple[Item, Reason | str]] = [
    (book([(math.nan, 1)], []), Reason.NOT_FINITE), (book([(99.5, -1)], []), Reason.NEGATIVE),
    (book([(99.5, 1e13)], []), Reason.ABSURD_SIZE), (book([(99.5, 1)], [], t=1), Reason.ABSURD_TIME),
    (book([(99.5, 1)], [], t=T + 2 * DAY), Reason.FUTURE), (book([(99.5, 1)], [], t=None), "malformed"),
    (book([(99.5, 1)], [], a=7), "malformed"), (book([(99.5, 1)], [], r=True, t=1), Reason.ABSURD_TIME),
    (book([(0.0001, 1)], [(0.0002, 1)], r=True), Reason.ABSURD_PRICE),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), FLAWED_BOOKS)
def test_an_update_that_cannot_be_believed_changes_no_book(bad: Item, reason: Reason | str) -> None:
    """The next row is of the book as it was before, and says that something is missing; the one after it does not."""
    one = decoder(asset="crypto", levels=2)
    before = [book([(99.0, 1.0)], [(101.0, 3.0)], r=True), book([(98.0, 2.0)], [])]
    found = one.decode(packed([*before, bad, book([], [(102.0, 1.0)]), book([], [(102.0, 2.0)])]), T)
    assert [each.reason for each in found.rejected] == [reason] and found.frame is not None
    assert found.frame["flags"].tolist() == [SNAPSHOT, 0, GAP, 0]
    assert found.frame["bids_px"][2].tolist() == [99.0, 98.0] and found.frame["asks_px"][2].tolist() == [101.0, 102.0]


def test_a_crossed_book_is_not_told_but_stands() -> None:
    """The vendor takes the other side away in its next message; where it never does, the older levels give way."""
    one = decoder(asset="crypto", levels=2)
    found = one.decode(packed([book([(99, 1)], [(101, 3), (103, 1)], r=True), book([(102, 2)], [])]), T)
    assert [each.reason for each in found.rejected] == [Reason.CROSSED]
    found = one.decode(packed([book([], [(101, 0)])]), T)
    assert found.frame is not None and found.frame["bids_px"][0].tolist() == [102, 99]
    assert found.frame["asks_px"][0].tolist()[0] == 103 and found.frame["flags"].tolist() == [0]
    found = one.decode(packed([book([(104, 1 + n)], []) for n in range(22)]), T)
    assert len(found.rejected) == 20 and found.frame is not None and found.frame["flags"].tolist() == [GAP, 0]
    assert found.frame["bid_px"].tolist() == [104, 104] and np.isnan(found.frame["ask_px"]).all()


updates = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.tuples(st.integers(90, 99), st.integers(0, 3)), max_size=4),
        st.lists(st.tuples(st.integers(101, 110), st.integers(0, 3)), max_size=4),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(deadline=None)
@given(updates)
def test_a_book_is_what_its_updates_say(told: list[Any]) -> None:
    """Beside two plain dicts."""
    one = decoder(asset="crypto", levels=3)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for whole, more, others in told:
        found = one.decode(packed([book(more, others, r=whole)]), T)
        bids, asks = ({}, {}) if whole else (bids, asks)
        for side, changes in ((bids, more), (asks, others)):
            side.update(changes)
            for px in [px for px, size in side.items() if not size]:
                del side[px]
        want = [sorted(bids.items(), reverse=True)[:3], sorted(asks.items())[:3]]
        assert found.frame is not None
        for name, side in zip(("bids", "asks"), want, strict=True):
            got = zip(found.frame[f"{name}_px"][0].tolist(), found.frame[f"{name}_sz"][0].tolist(), strict=True)
            assert [(px, size) for px, size in got if size] == side


EVERY: Any = [*range(64), 209, 233]


@pytest.mark.parametrize("spell", ["fast", "slow"])
def test_a_price_that_is_not_the_markets_is_flagged(spell: str) -> None:
    """Polygon's numbers and Alpaca's letters, in the kernel and in plain Python (a symbol met first)."""
    item = {"ev": "T", "sym": "A", "x": 11, "i": "5", "p": 1.5, "s": 2, "t": T // 10**6, "q": 1}
    for code in EVERY:
        one = decoder("polygon")
        for _ in range(2 if spell == "fast" else 1):
            found = one.decode(json.dumps([{**item, "c": [41, code]}]).encode(), T)
        want = OFF_EXCHANGE | NO_PRICE if code in conditions.NUMBERS else HIDDEN if code == 21 else 0
        assert found.frame is not None and found.frame["flags"].tolist() == [want], code
    for write in (packed, worded):
        for code in "@ ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
            for tape in "AC":
                one = decoder()
                for _ in range(2 if spell == "fast" else 1):
                    found = one.decode(write([trade(c=["@", code], z=tape)]), T)
                away = code in conditions.LETTERS or (code == "B" and tape == "A")
                want = OFF_EXCHANGE | NO_PRICE if away else HIDDEN if code == "H" else 0
                assert found.frame is not None and found.frame["flags"].tolist() == [want], (code, tape)


def test_coins_and_options_have_conditions_of_their_own() -> None:
    """Number 2 on a coin says who took, not that the price is an average."""
    coin = {"ev": "XT", "pair": "BTC-USD", "p": 1.5, "s": 2, "t": T // 10**6, "c": [2], "x": 1, "i": 5}
    found = decoder("polygon", "crypto").decode(json.dumps([coin] * 2).encode(), T)
    assert found.frame is not None and found.frame["flags"].tolist() == [0, 0]


def test_currency_pairs_are_counted_as_unwanted() -> None:
    """Quotes and bars of forex have no instrument in gpi; they are not called malformed."""
    said = [{"ev": "C", "p": "USD/CNH", "x": 44, "a": 6.8, "b": 6.7, "t": 1}, {"ev": "CA", "pair": "USD/EUR"}]
    found = decoder("polygon", "crypto").decode(json.dumps(said).encode(), T)
    assert [each.reason for each in found.rejected] == ["unwanted: forex"] * 2


def test_coins_on_polygon_know_who_took() -> None:
    """Condition 1: the taker sold; 2: bought."""
    said = [
        {"ev": "XT", "pair": "BTC-USD", "p": 1.5, "s": 2, "t": T // 10**6, "c": [c], "x": 1, "i": "5"}
        for c in (1, 2, 0)
    ]
    found = decoder("polygon", "crypto").decode(json.dumps(said).encode(), T)
    assert found.frame is not None and found.frame["side"].tolist() == [-1, 1, 0]
    assert found.frame["seq"].tolist() == [5, 5, 5]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(noise: bytes) -> None:
    """Noise behind an array's head, and noise alone."""
    for message in (noise, b"\x92" + noise, b"[" + noise, b"[{" + noise):
        decoder().decode(message, T)
        decoder("polygon").decode(message, T)


leaf = st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=300) | st.binary()
nested = st.recursive(leaf, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner))


@settings(deadline=None)
@given(nested)
def test_whatever_msgpack_writes_is_skipped_whole(value: Any) -> None:
    """The end of any value is found where the library put it."""
    raw = msgpack.packb(value)
    buf = np.frombuffer(raw + b"\0", np.uint8)
    assert walker.skip(buf, 0, len(raw)) == len(raw)
    assert walker.skip(buf, 0, len(raw) - 1) == -1


@pytest.mark.parametrize(("vendor", "asset", "name"), [("alpaca", "stocks", "AAPL"), ("polygon", "crypto", "BTCUSDT")])
def test_a_symbol_named_beforehand_takes_the_fast_road_at_once(vendor: Vendor, asset: str, name: str) -> None:
    """Its first message is decoded by the kernel, under its own number."""
    one = Decoder(vendor, asset, Instruments([instrument(asset, "ETHUSDT"), instrument(asset, name)]))
    one._slow_row = None  # type: ignore[assignment]
    item = {"ev": "XQ", "pair": "BTC-USDT", "bp": 1.0, "bs": 2, "ap": 1.5, "as": 2, "t": T // 10**6}
    found = one.decode(packed([quote()]) if vendor == "alpaca" else json.dumps([item]).encode(), T)
    assert found.frame is not None and found.frame["instrument_id"].tolist() == [1]
