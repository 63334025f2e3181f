"""Features, folded one event at a time, and the windows they need."""
