"""The format of a bundle: an engine with all that it takes to run it, to judge it again and to build it anew.

Both sides import it, as they do `reports.record`: `reports.shipping` makes bundles of a record, `fixtures.bundle` and
the pipeline run them. It imports nothing that is not the record's.
"""
