"""The `paas` client: speaks HTTP to the daemon and imports nothing else of paasd."""
