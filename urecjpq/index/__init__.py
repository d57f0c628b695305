"""Exact top-K over quantised tables and over final vectors, on CPUs."""
