"""Monitors of losses, gradients and activations, and a verdict on the health of a network.

The monitors of gradients and activations sample every k-th step only. All monitors keep their
figures on the device until a report is made, so that no step waits for them. Between two samples
they cost nothing, since no hook is set.
"""
