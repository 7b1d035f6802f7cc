"""How kernels are compiled: without what they do not need, which would take most of the time.

Division by zero gives infinity and raises nothing, as in NumPy; no kernel divides by what may be zero. References to
arrays are not counted: the caller of a kernel holds them all. Only what makes arrays of its own has to count.
"""

from numba import njit

__all__ = ["allocating", "allocating_inner", "inlined", "inner", "kernel", "merged"]

#: For functions that Python calls.
kernel = njit(error_model="numpy", no_cfunc_wrapper=True, _nrt=False)

#: For functions that only other compiled ones call.
inner = njit(error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True, _nrt=False)

#: For small ones of these, whose call would cost more than they do.
inlined = njit(error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True, _nrt=False, inline="always")

#: For steps of loops; for loops over constants, which vanish; and for what one place calls: a call would copy each
#: number of each array, some hundred, to the stack.
merged = njit(error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True, _nrt=False, forceinline=True)

#: For functions that make arrays.
allocating = njit(error_model="numpy", no_cfunc_wrapper=True)
allocating_inner = njit(error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)
