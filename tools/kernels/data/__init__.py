"""Market data: vendors' bytes to rows, books kept from updates, rows back to bytes."""
