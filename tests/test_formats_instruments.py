"""Instruments, OCC symbols and the universe."""

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.instruments import (
    Instruments,
    crypto,
    equity,
    format_occ,
    index,
    option,
    parse_occ,
)
from gpi.formats.market.universe import TIER1, TIER2, expand
from gpi.formats.ticks import ticks

ROOTS = st.from_regex(r"[A-Z][A-Z0-9.]{0,5}", fullmatch=True)
DATES = st.dates(date(2000, 1, 1), date(2099, 12, 31))
THOUSANDTHS = st.integers(1, 99_999_999)


@given(ROOTS, DATES, st.sampled_from("CP"), THOUSANDTHS, st.booleans())
@settings(max_examples=25, deadline=None)
def test_an_occ_symbol_survives_the_round_trip(
    root: str, expiry: date, right: str, thousandths: int, padded: bool
) -> None:
    """What format_occ writes, padded or not, parse_occ reads."""
    symbol = format_occ(root, expiry, right, thousandths / 1000, padded=padded)
    assert parse_occ(symbol) == (root, expiry, right, thousandths / 1000)
    assert len(symbol) == 21 or not padded


def test_an_occ_symbol_is_read_padded_unpadded_and_as_polygon_writes_it() -> None:
    """The same option in three spellings."""
    for symbol in ("AAPL  240621C00190000", "AAPL240621C00190000", "O:AAPL240621C00190000"):
        assert parse_occ(symbol) == ("AAPL", date(2024, 6, 21), "C", 190.0)
        assert option(symbol).symbol == "AAPL  240621C00190000"
    assert option("SPXW240621P04999500").multiplier == 100


@pytest.mark.parametrize(
    "symbol",
    ["", "AAPL", "AAPL240631C00190000", "AAPL240621X00190000", "AAPL240621C0019000", "aapl240621C00190000",
     "TOOLONG240621C00190000", "AAPL240621C00000000", "AAPL 1 240621C00190000"],
)  # fmt: skip
def test_what_is_not_an_occ_symbol_is_refused_by_name(symbol: str) -> None:
    """BadInput quotes the symbol."""
    with pytest.raises(BadInput, match=repr(symbol)[1:-1] or "OCC"):
        parse_occ(symbol)


@pytest.mark.parametrize(
    ("root", "right", "strike"),
    [
        ("AAPL", "C", 0.0),
        ("AAPL", "C", 1.00049),
        ("AAPL", "C", 1e5),
        ("AAPL", "X", 1.0),
        ("TOOLONG", "C", 1.0),
    ],
)
def test_what_occ_cannot_write_is_refused(root: str, right: str, strike: float) -> None:
    """A strike off the grid or too high, an unknown right, a long root."""
    with pytest.raises(BadInput):
        format_occ(root, date(2024, 6, 21), right, strike)


def test_ids_are_given_in_order_of_first_appearance() -> None:
    """Adding a known symbol gives its old id."""
    table = Instruments()
    assert [table.add(equity(s)) for s in ("SPY", "QQQ", "SPY", "AAPL")] == [0, 1, 0, 2]
    assert table[1].symbol == "QQQ" and table.named("AAPL").id == 2 and "QQQ" in table and len(table) == 3


def test_the_table_travels_in_the_schema() -> None:
    """`on` and `of` are inverse, and the rest of the metadata stays."""
    table = Instruments([equity("SPY"), option("SPY240621P00500500"), crypto("BTCUSDT"), index("SPX")])
    schema = table.on(ticks(5))
    assert Instruments.of(schema) == table
    assert schema.metadata[b"gpi.schema"] == b"ticks/1"
    assert list(Instruments.of(schema))[1] == list(table)[1]
    assert len(Instruments.of(ticks())) == 0


def test_a_spoilt_table_and_a_foreign_id_are_bad_input() -> None:
    """The message says what is wrong."""
    for text in ("{", '[{"color":1}]', "[1]"):
        with pytest.raises(BadInput, match="unreadable"):
            Instruments.from_json(text)
    with pytest.raises(BadInput, match="instrument_id 3"):
        Instruments([equity("SPY")])[3]
    with pytest.raises(BadInput, match="no 'QQQ'; it has SPY"):
        Instruments([equity("SPY")]).named("QQQ")


def test_tiers_expand_in_order_and_once() -> None:
    """A symbol named twice is taken once."""
    assert expand("@tier1, coin,SPY") == (*TIER1, "COIN")
    assert expand("@universe") == TIER1 + TIER2
    assert len(TIER1 + TIER2) == len(set(TIER1 + TIER2)) == 69


def test_an_unknown_tier_names_the_nearest() -> None:
    """UsageError, exit code 2."""
    with pytest.raises(UsageError, match="did you mean @tier1"):
        expand("@teir1")
    with pytest.raises(UsageError, match="no symbols"):
        expand(" , ")


@pytest.mark.parametrize(
    "rows",
    [
        [{"symbol": "A"}, {"symbol": "A", "venue": "Z"}],
        [{"symbol": "A", "multiplier": "x"}],
        [{"symbol": "A", "multiplier": -1.0}],
        [{"symbol": "A", "tick_size": float("nan")}],
    ],
    ids=["a symbol twice", "text", "negative", "nan"],
)
def test_a_table_whose_ids_or_terms_mean_nothing_is_refused(rows: list[dict[str, object]]) -> None:
    """Ids would shift, or a limit would be compared with nonsense: bad input, not a default."""
    with pytest.raises(BadInput):
        Instruments.from_json(json.dumps(rows))


TABLE = [equity("SPY"), crypto("BTCUSDT"), option("SPY240621C00500000"), index("SPX"), option("SPXW240621P05000000")]


@pytest.mark.parametrize("cut", range(len(TABLE)))
def test_a_table_told_in_pieces_is_the_table(cut: int) -> None:
    """The rows before, then the news; the news again, and the whole table, change nothing."""
    whole, grown = Instruments(TABLE), Instruments(TABLE[:cut])
    assert grown.heard(whole.news(cut)) == cut
    assert grown == whole
    assert grown.heard(whole.news(cut)) == grown.heard({"gpi.instruments": whole.to_json()}) == len(TABLE)
    assert grown == whole
    assert grown.first_on("SPX") == 4 and grown.first_on("SPY") == 2 and grown.first_on("QQQ") == -1


@pytest.mark.parametrize(
    "note",
    [
        {"gpi.instruments.more": Instruments(TABLE).news(3)["gpi.instruments.more"]},  # row 2 is missing
        {"gpi.instruments.more": '{"first": 1, "rows": [{"symbol": "SPY"}]}'},  # another than was told
        {"gpi.instruments.more": '{"first": 2, "rows": [{"symbol": "SPY"}]}'},  # once more
        {"gpi.instruments.more": '{"first": true, "rows": []}'},
        {"gpi.instruments.more": '{"first": -1, "rows": []}'},
        {"gpi.instruments.more": '{"first": 2}'},
        {"gpi.instruments.more": '{"first": 2, "rows": [7]}'},
        {"gpi.instruments.more": "[]"},
        {"gpi.instruments.more": "no json"},
        {"gpi.instruments": '[{"symbol": "QQQ"}]'},
    ],
)
def test_news_that_do_not_go_on_where_the_table_ends_are_refused(note: dict[str, str]) -> None:
    """A gap, a contradiction, a repetition, or nonsense; the table stays as it was."""
    table = Instruments(TABLE[:2])
    with pytest.raises(BadInput):
        table.heard(note)
    assert table.symbols == ("SPY", "BTCUSDT")


def test_a_note_about_something_else_announces_nothing() -> None:
    """None, and no table touched."""
    assert Instruments().heard(None) is None and Instruments().heard({"gpi.dropped": "7"}) is None
