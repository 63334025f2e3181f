"""Facts of the market that all must agree upon: days and hours, fees, settlement, universes."""
