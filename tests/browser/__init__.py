"""refimpl and its notebooks in Chromium."""
