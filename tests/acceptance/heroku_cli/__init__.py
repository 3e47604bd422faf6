"""Each command of the official heroku CLI that has work for a server, run as its user types it."""
