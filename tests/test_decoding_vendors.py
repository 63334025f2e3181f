"""Every message that the vendors have published is a row, a bar, a control, or says why not."""

import json
from collections import Counter
from typing import Any

import msgpack
import pyarrow as pa
import pytest

from gpi.formats.instruments import Instruments
from gpi.formats.words import DEPTH, HALTED, NO_PRICE, QUOTE, STATUS, TRADE
from gpi.tools.feeds.live.decoding import Decoded, Decoder
from gpi.tools.feeds.live.items import BARS, CONTROLS, FOREX, UNWANTED
from gpi.tools.kernels.data.conditions import NUMBERS
from tests.data import shared

LATER = 2_000_000_000 * 10**9  # after every example
KINDS = {"T": TRADE, "Q": QUOTE, "XT": TRADE, "XQ": QUOTE, "XL2": QUOTE | DEPTH}
LETTERS = {"t": TRADE, "q": QUOTE, "s": STATUS, "o": QUOTE | DEPTH}


def recorded(name: str) -> list[dict[str, Any]]:
    """The lines of a file of fixtures; skips where it is absent."""
    with pa.input_stream(str(shared(name)), compression="zstd") as file:
        return [json.loads(line) for line in file.read().splitlines()]


def decoded(vendor: Any, asset: str, items: list[Any], packed: bool = False) -> Decoded:
    """What a fresh decoder says of a message, and that nothing of it is lost."""
    message = msgpack.packb(items) if packed else json.dumps(items).encode()
    found = Decoder(vendor, asset, Instruments(), levels=5).decode(message, LATER)
    rows = 0 if found.frame is None else found.frame.rows
    assert rows + len(found.controls) + len(found.rejected) + found.bars == len(items)
    return found


def test_polygons_documented_messages() -> None:
    """One example a channel: shares, options, coins, indices, fair values, currencies."""
    met: Counter[str] = Counter()
    for told in recorded("fix_polygon_ws_spec_examples.jsonl.zst"):
        item, market = told["body"], told["channel"].strip("/").removeprefix("business/").removeprefix("launchpad/")
        asset = market.split("/")[0]
        found = decoded("polygon", asset if asset in ("options", "crypto") else "stocks", [item])
        met[item["ev"]] += 1
        if item["ev"] in KINDS:
            assert found.frame is not None and found.frame["kind"].tolist() == [KINDS[item["ev"]]], (item, found)
        elif item["ev"] in FOREX:
            assert [each.reason for each in found.rejected] == [UNWANTED]
        else:
            assert found.bars == (item["ev"] in BARS) and len(found.controls) == (item["ev"] in CONTROLS), item
    assert set(met) >= {*KINDS, *FOREX, "LULD", "NOI", "FMV", "LV", "V", "A", "AM", "XA", "XAS"}


def test_polygons_mock_server() -> None:
    """Statuses are controls, trades are rows, odd lots and sweeps keep their price."""
    met: Counter[str] = Counter()
    for told in recorded("fix_polygon_ws_mock_server.jsonl.zst"):
        found = decoded("polygon", "stocks", told["body"])
        met += Counter(each["ev"] for each in told["body"])
        assert found.rejected == []
        if found.frame is not None:
            assert set(found.frame["kind"].tolist()) == {TRADE} and not (found.frame["flags"] & NO_PRICE).any()
            assert found.frame["trade_px"].tolist() == [each["p"] for each in told["body"]]
    assert met["status"] >= 4 and met["T"] >= 2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["fix_alpaca_docs.jsonl.zst", "fix_alpaca_py_tests.jsonl.zst"])
def test_alpacas_published_messages(name: str, packed: bool) -> None:
    """Of the documents and of alpaca-py's tests, on both wires; where the time is left out, one is filled in."""
    met: Counter[str] = Counter()
    for told in recorded(name):
        item = told["body"]
        if not told["what"].startswith("ws:") or not isinstance(item, dict) or "T" not in item or "ev" in item:
            continue
        if item.get("t") == "<timestamp>":
            item = {**item, "t": msgpack.Timestamp(1_700_000_000, 5) if packed else "2023-11-14T22:13:20.000000005Z"}
        found = decoded("alpaca", "crypto" if item["T"] == "o" else "stocks", [item], packed)
        met[item["T"]] += 1
        if item["T"] in LETTERS:
            assert found.frame is not None and found.frame["kind"].tolist() == [LETTERS[item["T"]]], (item, found)
            assert item["T"] != "s" or found.frame["flags"].tolist() == [HALTED if item["sc"] == "H" else 0]
        else:
            assert found.bars == (item["T"] in BARS) and len(found.controls) == (item["T"] in CONTROLS), item
    assert set(met) >= {"t", "q", "b", "s"}


def test_the_conditions_that_set_no_price_are_the_vendors() -> None:
    """Polygon's table says which trades do not change the last price; its recorded names are those that are meant."""
    table = [told for told in recorded("fix_polygon_rest_mocks.jsonl.zst") if "asset_class=stocks" in told["path"]]
    rows = [row for told in table if "reference/conditions" in told["path"] for row in told["body"]["results"]]
    assert len(rows) == 10
    for row in rows:
        assert (row["id"] in NUMBERS) == (not row["update_rules"]["consolidated"]["updates_open_close"]), row
    asked = recorded("fix_polygon_recorded_http_2021.jsonl.zst")
    (names,) = (told["body"] for told in asked if told["url"].endswith("conditions/trades"))
    assert {names[str(number)] for number in NUMBERS} == {
        "AveragePrice", "BunchSold", "CashTrade", "DerivativelyPriced", "FormTOutOfSequence",
        "MarketCenterOfficialClose", "MarketCenterOfficialOpen", "NextDay", "PriorReferencePrice", "Seller",
        "SoldOutOfSequence",
        "SoldOutOfSequenceStoppedStock", "CorrectedConsolidatedClosePrice", "Contingent", "Contingent(Qualified)",
    }  # fmt: skip
