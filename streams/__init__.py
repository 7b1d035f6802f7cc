"""Moves bytes: decode, call one pure function of `models`, store, emit."""
