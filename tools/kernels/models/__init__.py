"""What models compute: the tick encoder, the pattern bank, Black and Scholes."""
