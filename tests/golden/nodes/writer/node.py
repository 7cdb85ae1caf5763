"""Proves that a document with faults runs nothing: this cannot even be imported."""

raise AssertionError("a node of a faulty document was imported")
