"""Limits, the gate every intent passes, and the report on a run."""
