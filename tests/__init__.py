"""What is true of gpi, as sentences."""
