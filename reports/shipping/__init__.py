"""From the record of a run to a bundle: which engine is to be shipped, and where its files lie."""
