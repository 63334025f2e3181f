"""The words: one module per command, and the one place that knows pipes, terminals and exit codes."""
