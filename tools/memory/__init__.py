"""The pattern bank: remembered embeddings with their outcomes."""
