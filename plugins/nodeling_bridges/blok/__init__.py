"""Workflows of Blok, both generations of its JSON, as native documents."""
