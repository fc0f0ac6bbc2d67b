"""Types what the runbook says, from a site's first day to its worst."""
