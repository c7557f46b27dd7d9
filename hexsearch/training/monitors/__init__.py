"""Is the network healthy? Gradient and activation monitors, and their verdict.

Both look at every k-th step only and leave what they see on the device until a report asks, so
that no step waits for them. Between looks they cost nothing: no hook is armed.
"""
