"""hexsearch: which value head, on which trunk, trained how, predicts the winner best?"""

__version__ = "0.1.0"
