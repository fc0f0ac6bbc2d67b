"""Updates customers by a CSV file, a batch at a time: the acquirer's answer (洗替)."""
