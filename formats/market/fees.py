"""What brokers and venues charge per fill, by date: SEC section 31, FINRA TAF, CAT, OCC, crypto tiers.

`SCHEDULES[name].at(day)` gives the `Fees` of that trading day. `gpi.tools.kernels.trader.fees` charges them in a
backtest, `gpi.formats.market.accruals` an account. Rates are those the customer of the named broker pays. Sources, and
what is unsure, stand with each table; a day before the first row of a table gets that row's rates, so an old backtest
is charged approximately, never nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from math import isfinite
from typing import Final, TypeVar

from gpi.formats.errors import UsageError

Row = TypeVar("Row")

EXACT: Final = 0
UP_EACH_FILL: Final = 1
UP_EACH_DAY: Final = 2
ROUNDING: Final = ("exact", "up to the cent per fill", "up to the cent per day")
"""How each kind of charge is rounded, by `Fees.rounding`: clearing is rounded per fill in both of the last two, as
Alpaca does; commissions in basis points (crypto) are never rounded."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a venue charges per fill, in account currency; negative is a rebate.

    `*_bps` are basis points of the notional; `*_per_share` is per unit of quantity: a share or a contract. Each charge
    is rounded on its own, as `rounding` says. Written for `gpi.tools.kernels.trader.fees.charge`, which reads these
    names from any record that has them.
    Raises UsageError for a rate that is not a number, or a negative cap.
    """

    maker_bps: float = 0.0
    taker_bps: float = 0.0
    per_share: float = 0.0
    """Both sides: a commission, or the options regulatory fee (ORF)."""
    sell_bps: float = 0.0
    """Sells only: SEC section 31."""
    sell_per_share: float = 0.0
    """Sells only: FINRA TAF."""
    sell_cap: float = 0.0
    """The most that `sell_per_share` takes of one fill; 0: no cap."""
    audit_per_share: float = 0.0
    """Both sides: the consolidated audit trail (CAT)."""
    clearing_per_share: float = 0.0
    """Both sides: the clearing house (OCC)."""
    clearing_cap: float = 0.0
    """The most that clearing takes of one fill; 0: no cap."""
    rounding: int = EXACT

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isfinite(value) or (each.name.endswith("_cap") and value < 0.0):
                raise UsageError(f"the fee {each.name} is a number (a cap from 0 on), not {value}")
        if self.rounding not in (EXACT, UP_EACH_FILL, UP_EACH_DAY):
            raise UsageError(f"fees are rounded 0 ({ROUNDING[0]}), 1 ({ROUNDING[1]}) or 2 ({ROUNDING[2]})")


class Dated(tuple[tuple[date, Row], ...]):
    """Rows in order of the day from which each holds."""

    def at(self, day: date) -> Row:
        """The row in force; the first one on earlier days."""
        return self[max(0, bisect_right(self, day, key=lambda row: row[0]) - 1)][1]


SEC_PER_MILLION: Final = Dated[float](
    (
        (date(2012, 4, 1), 22.40),  # the rate: SEC, 2012-11-15; the day is not confirmed
        (date(2013, 5, 25), 17.40),  # the day is not confirmed
        (date(2014, 3, 18), 22.10),  # FINRA information notice 2014-03-03
        (date(2015, 2, 14), 18.40),  # the day is not confirmed
        (date(2016, 2, 16), 21.80),  # SEC press release 2016-2
        (date(2017, 7, 4), 23.10),  # SEC
        (date(2018, 5, 22), 13.00),  # FINRA information notice 2018-05-07
        (date(2019, 4, 16), 20.70),  # FINRA information notice, 2019-03
        (date(2020, 2, 18), 22.10),
        (date(2021, 2, 25), 5.10),  # FINRA information notice 2021-02-16
        (date(2022, 5, 14), 22.90),
        (date(2023, 2, 27), 8.00),
        (date(2024, 5, 22), 27.80),
        (date(2025, 5, 14), 0.00),  # FINRA information notice 2025-04-24
        (date(2026, 4, 4), 20.60),  # SEC fee rate advisory 2 for fiscal 2026
    )
)
"""SEC section 31, dollars per million sold. Sales of options on broad indices are exempt."""

TAF: Final = Dated[tuple[float, float, float]](
    (
        (date(2012, 3, 1), (0.000095, 4.75, 0.002)),  # FINRA notice 12-06
        (date(2012, 7, 1), (0.000119, 5.95, 0.002)),
        (date(2022, 1, 1), (0.000130, 6.49, 0.00218)),  # SR-FINRA-2020-032, as are the next two
        (date(2023, 1, 1), (0.000145, 7.27, 0.00244)),
        (date(2024, 1, 1), (0.000166, 8.30, 0.00279)),
        (date(2026, 1, 1), (0.000195, 9.79, 0.00329)),  # SR-FINRA-2024-019
        (date(2026, 10, 1), (0.0, 0.0, 0.0)),  # SR-FINRA-2026-021, a quarter's pause; that Alpaca heeds it is a guess
        (date(2027, 1, 1), (0.000195, 9.79, 0.00329)),  # SR-FINRA-2026-020 keeps the rates of 2026; second hand
    )
)
"""FINRA's trading activity fee on sells: per share, its cap per trade, per option contract (no cap)."""

CAT: Final = Dated[float](
    (
        (date(1970, 1, 1), 0.0),
        (date(2024, 10, 1), 0.000053),  # as Alpaca published it; the first day is not confirmed
        (date(2025, 1, 1), 0.000046),  # likewise
        (date(2025, 7, 1), 0.0000265),  # CAT fee 2025-2 0.000009, historical 0.000013, FINRA's recovery 0.0000045
        (date(2025, 12, 1), 0.0),  # no invoices
        (date(2026, 5, 1), 0.000003),  # CAT fee 2026-1 0.000001 and historical assessment 1A 0.000002; second hand
    )
)
"""The consolidated audit trail as Alpaca passes it on, both sides, per share; a contract counts as 100 shares."""

ORF: Final = Dated[float](
    (
        (
            date(1970, 1, 1),
            0.02685,
        ),  # Alpaca's page of 2025; 6 contracts cost 0.17 on 2024-06-18, 4 cost 0.11 on 2026-06-25
        (date(2026, 7, 1), 0.015),  # 6 cost 0.09 in August, 25 cost 0.38 on 2026-09-23; the day is a guess
    )
)
"""The options regulatory fee as Alpaca passes it on, both sides, per contract."""

OCC: Final = Dated[tuple[float, float]](
    (
        (date(1970, 1, 1), (0.02, 55.0)),  # Alpaca's page of 2025; 1 contract cost 0.02 on 2025-08-13 and 2026-06-25
        (
            date(2026, 7, 1),
            (0.025, 0.0),
        ),  # 1 cost 0.03, 3 cost 0.08 in August; OCC's own rate since 2025; the day is a guess
    )
)
"""The clearing house as Alpaca passes it on, both sides: per contract, its cap per trade (0: none)."""

TIERS = tuple[tuple[float, float, float], ...]
ALPACA_CRYPTO_TIERS: Final = Dated[TIERS](
    (
        (
            date(1970, 1, 1),  # alpaca.markets/docs/crypto/activities, 2022: one rate for both sides
            (
                (0.0, 25.0, 25.0),
                (500_000.0, 22.0, 22.0),
                (1_000_000.0, 20.0, 20.0),
                (5_000_000.0, 18.0, 18.0),
                (10_000_000.0, 15.0, 15.0),
                (25_000_000.0, 13.0, 13.0),
                (50_000_000.0, 10.0, 10.0),
                (100_000_000.0, 8.0, 8.0),
            ),
        ),
        (
            date(2023, 3, 13),  # alpaca.markets/support/crypto-maker-taker-gmt-faq
            (
                (0.0, 15.0, 25.0),
                (100_000.0, 12.0, 22.0),
                (500_000.0, 10.0, 20.0),
                (1_000_000.0, 8.0, 18.0),
                (10_000_000.0, 5.0, 15.0),
                (25_000_000.0, 2.0, 13.0),
                (50_000_000.0, 2.0, 12.0),
                (100_000_000.0, 0.0, 10.0),
            ),
        ),
    )
)
"""(30-day volume in USD from which it holds, maker bps, taker bps). Alpaca takes it from what is received."""

BINANCE_SPOT_TIERS: Final = Dated[TIERS](((date(1970, 1, 1), ((0.0, 10.0, 10.0),)),))
"""The regular tier without BNB discount; VIP levels also ask for BNB held, so volume alone gives none."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A named broker's fees through time."""

    tiers: Dated[TIERS] | None = None
    per_contract: float = 0.0
    """How many shares a unit of quantity stands for: 1 shares, 100 contracts, 0 where the SEC and FINRA have no say."""
    section_31: bool = True

    def at(self, day: date, volume: float = 0.0) -> Fees:
        """The fees of this trading day. `volume`: what the account traded in the 30 days before, USD; crypto only."""
        if self.tiers is not None:
            rows = self.tiers.at(day)
            _, maker, taker = rows[max(0, bisect_right(rows, volume, key=lambda row: row[0]) - 1)]
            return Fees(maker_bps=maker, taker_bps=taker)
        if not self.per_contract:
            return Fees()
        share, cap, contract = TAF.at(day)
        clearing, clearing_cap = OCC.at(day)
        listed = self.per_contract > 1.0
        return Fees(
            per_share=ORF.at(day) if listed else 0.0,
            sell_bps=round(SEC_PER_MILLION.at(day) / 100.0, 9) if self.section_31 else 0.0,
            sell_per_share=contract if listed else share,
            sell_cap=0.0 if listed else cap,
            audit_per_share=round(CAT.at(day) * self.per_contract, 12),
            clearing_per_share=clearing if listed else 0.0,
            clearing_cap=clearing_cap if listed else 0.0,
            rounding=UP_EACH_DAY,
        )


SCHEDULES: Final[Mapping[str, Schedule]] = {
    "zero": Schedule(),
    "alpaca_equity": Schedule(per_contract=1.0),
    "alpaca_option": Schedule(per_contract=100.0),
    "alpaca_index_option": Schedule(per_contract=100.0, section_31=False),
    "alpaca_crypto": Schedule(tiers=ALPACA_CRYPTO_TIERS),
    "binance_spot": Schedule(tiers=BINANCE_SPOT_TIERS),
}
"""Alpaca takes no commission on shares and options. Its books show one row a day and kind, rounded up to the cent, and
one OCC row per fill; so do those of its paper accounts (2026), though its documentation says that paper charges none.
"""
