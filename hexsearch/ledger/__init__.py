"""The record of a study: its ledger, the state that is computed from it, and its folder."""
