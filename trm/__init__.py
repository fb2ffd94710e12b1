"""Recursive models: a tiny network that thinks longer by running again (TRM), and direct prediction."""
