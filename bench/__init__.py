"""Every published figure has its command here: `python bench/<name>.py`, or `make bench` for all."""
