"""The desk: where strategy, limits, stream and engine meet; what the command line, notebooks and workers call."""
