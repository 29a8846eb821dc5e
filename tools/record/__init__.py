"""Recorders: each writes captures, a picture or a record that the notebooks read."""
