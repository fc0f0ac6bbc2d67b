"""The card pages, as an operator meets them."""
