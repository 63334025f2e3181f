"""Stages that append embeddings and outlooks, served without torch."""
