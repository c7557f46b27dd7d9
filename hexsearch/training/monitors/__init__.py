"""Whether the network is healthy: monitors of losses, gradients and activations, and a verdict.

The monitors of gradients and activations look at every k-th step only. All of them keep what they
see on the device until a report asks, so that no step waits for them. Between two looks they cost
nothing, since no hook is set.
"""
