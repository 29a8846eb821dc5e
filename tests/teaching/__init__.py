"""Gates on what is taught with: notebooks, exercises, checks, and the tools behind them."""
