"""Who leads a study and how sure that is: rows, comparisons, sentences. Prints nothing."""
