"""The gate on decoders and resizes: what changes the answers fails it, on material that shows the fault."""
