"""The ledger: every piece of background work is a row before it is a message."""
