"""What is true of gpi, as sentences."""

import os

os.environ.setdefault("GPI_COLD", "1")  # one test alone does not have every kernel compiled first; `make test` does
