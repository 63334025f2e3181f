"""Workers that are run by the peers' own python, beside ours."""
