"""Reads the files a billing run begins with and lays out the lines it ends in."""
