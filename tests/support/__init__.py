"""Helpers of the tests: connections without sockets, clocks that stand still, handmade peers."""
