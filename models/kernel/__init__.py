"""The compiled twin of `models.rows.PlainRows`: the same rows, folds and ranking over dense arrays, by numba."""
