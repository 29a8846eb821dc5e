"""Faults that other projects' public reports describe, tried here: a module a kind."""
