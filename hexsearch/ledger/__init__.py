"""The record of a study: its ledger, the state that follows from it, its folder."""
