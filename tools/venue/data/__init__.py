"""Market data the venue tells: the tape, what is stored, how it is written and spoilt."""
