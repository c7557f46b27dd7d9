"""The search: space, searchers, pruning rules, budgets, and the engine. It does not use Ray."""
