"""What the account would hold at worst, kept as a sum, and who is in it: the cost of a check does not grow with the
number of instruments.

An instrument is *active* once something is held of it or works for it. Active instruments stand in a list in order of
their ids; options, besides, in a list of their right and underlying. `listing.working`, `account.mark` and
`account.settle` keep both, and `account.snapshot` sums again, so that what floats lose cannot grow.
"""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import Engine


@borrowing
def touch(e: Engine, i: int) -> None:
    """Something is held of instrument `i` or works for it from now on."""
    it = e.instruments[i]
    if not it.active:
        it.active = 1
        at = e.rings.active
        while at > 0 and e.active[at - 1] > i:
            e.active[at] = e.active[at - 1]
            at -= 1
        e.active[at] = i
        e.rings.active += 1
    if it.right and not it.chained:
        row = 0 if it.right > 0 else 1
        it.chained = 1
        it.next_in_chain = e.chains[it.group, row]
        e.chains[it.group, row] = i


@borrowing
def weigh(e: Engine, i: int) -> None:
    """Bring the worst that instrument `i` can come to, all buys or all sells filled, into the account's sum.

    What is held of it and works for it is shown to strategies from now on.
    """
    it, reach = e.instruments[i], 0.0
    if it.position != 0.0 or it.n_buys > 0 or it.n_sells > 0:
        price = it.mid if it.mid == it.mid else it.avg_px
        reach = max(abs(it.position + it.buying), abs(it.position - it.selling)) * price * it.multiplier
    e.account.gross += reach - it.reach
    it.reach = reach
    m = e.market[i]
    m.position = it.position
    m.buying = it.buying
    m.selling = it.selling
    m.n_buys = it.n_buys
    m.n_sells = it.n_sells


@borrowing
def total(e: Engine) -> None:
    """Sum again what is held and what may be, in order of ids; who is neither held nor worked leaves the list."""
    holdings, exposure, gross, kept = 0.0, 0.0, 0.0, 0
    for at in range(e.rings.active):
        i = e.active[at]
        it = e.instruments[i]
        holdings += it.value
        exposure += abs(it.value)
        gross += it.reach
        if it.value != 0.0 or it.position != 0.0 or it.n_buys > 0 or it.n_sells > 0:
            e.active[kept] = i
            kept += 1
        else:
            it.active = 0
    e.rings.active = kept
    e.account.holdings = holdings
    e.account.exposure = exposure
    e.account.gross = gross
