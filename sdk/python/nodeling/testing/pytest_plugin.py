"""The fixtures that `pip install nodeling` brings to pytest."""
