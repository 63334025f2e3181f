"""The work: one room per job; rooms never import each other, they meet in gpi.formats."""
