"""Recorded shop traffic: lines of a file in, Sidecart's input events out; one module a format."""
