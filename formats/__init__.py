"""What flows between the tools, and how it crosses a pipe or a disk."""
