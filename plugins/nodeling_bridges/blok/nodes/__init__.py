"""The nodes that converted documents use where Blok had one and nodeling has no other."""
