"""Is a checkpoint right, and if not, what is mis-wired?"""
