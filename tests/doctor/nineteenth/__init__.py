"""The nineteenth set: training functions with one likely mistake each, and sound ones."""
