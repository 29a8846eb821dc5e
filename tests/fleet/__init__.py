"""Nodes as real processes, a real Valkey or a cluster, and what their people see when one fails."""
