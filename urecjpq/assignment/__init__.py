"""Strategies that give every user or item its code."""
