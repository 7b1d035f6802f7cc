"""The rules of `models` as compiled code, by numba, over arrays and buffers: each equal to its plain twin."""
