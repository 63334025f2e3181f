"""Stages that append features to ticks."""
