"""The golden figures of bench/golden.json, the short ones: the same orders, fills and equity as when they were kept."""

import json
from pathlib import Path

import pytest

from bench.golden import KEPT, cases, found
from tests.data import SHARED

pytestmark = pytest.mark.jit
SHORT = (
    "simulated / market_making",
    "simulated / momentum",
    "cr_bbo_binance_spot_20240808 / market_making",
    "eq_lob_lobster_AAPL_20120621_L1 / momentum",
    "opt_1m_quote_lean_index / market_making",
)


def test_every_case_is_kept() -> None:
    """Nothing is measured without a figure, and no figure is left over."""
    assert set(json.loads(KEPT.read_text())["cases"]) == set(cases())


@pytest.mark.parametrize("name", SHORT)
def test_a_golden_run_is_as_it_was(tmp_path: Path, name: str) -> None:
    """`python -m bench.golden` does all of them."""
    if not name.startswith("simulated") and not (SHARED / "data").exists():
        pytest.skip(f"real data absent: {SHARED / 'data'}")
    kept = json.loads(KEPT.read_text())
    assert found(cases()[name], tmp_path / "run", kept["columns"]) == kept["cases"][name]
