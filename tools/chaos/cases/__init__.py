"""The rows of the fault table, one module per kind of fault."""
