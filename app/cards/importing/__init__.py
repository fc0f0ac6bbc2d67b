"""Imports the customers of a CSV file, a batch at a time."""
