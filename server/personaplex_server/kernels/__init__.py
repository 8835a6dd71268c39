"""What a tick computes on a CPU, written for it and compiled at start for the very processor it runs on.

A voice server's products are thin: one to a few dozen rows meet weights that come from memory. General libraries take
two to three times as long for them as reading the weights takes, and every call of theirs costs microseconds. These
functions are made for just that, by LLVM (`llvmlite`), and kept for later starts. How a row's numbers are summed never
depends on the rows beside it, so that a caller's answer is the same to the last bit in any company.

`machine.kernels()` gives them, or None where they cannot be had; the model then uses torch's operators.
"""
