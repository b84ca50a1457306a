"""Panels for notebooks: thin, they call the rest."""
