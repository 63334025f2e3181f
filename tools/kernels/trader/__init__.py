"""The trader's half: the account, the gate, the strategy's loop, what is sent and told."""
