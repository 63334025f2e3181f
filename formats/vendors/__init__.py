"""One reader per vendor layout: a file of theirs becomes ticks of ours, dirty rows counted."""
