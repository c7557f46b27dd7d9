"""Commands about files that come along or that hexsearch writes for other programs."""
