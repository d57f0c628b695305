"""Quantised user and item embeddings for recommender systems."""
