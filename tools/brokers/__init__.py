"""Brokers: real orders. Journaled before they are sent, resolved when their fate is unknown, reconciled always."""
