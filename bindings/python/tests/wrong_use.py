"""Mistakes that mypy must see, one on each line that says so; never run."""

import dmtcp

dmtcp.Job("state", "one text", native=2)  # wrong
dmtcp.Job("state", interval="soon")  # wrong
dmtcp.Coordinator(dialect="v9")  # wrong
dmtcp.Coordinator(7779).status().workers  # wrong
length: int = dmtcp.Coordinator(7779).status()  # wrong
