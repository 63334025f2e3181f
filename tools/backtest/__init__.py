"""The one trading engine, its run directory, its statistics and its verification."""
