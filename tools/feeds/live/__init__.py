"""Live feeds: from a vendor's socket to rows, journaled before anybody is told."""
