"""Accounts and their orders: tickets, rules, ledgers, margin, ends of options."""
