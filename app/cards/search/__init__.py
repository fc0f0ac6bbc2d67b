"""The list and its search: pages, orders, the index of words, and the masked file."""
