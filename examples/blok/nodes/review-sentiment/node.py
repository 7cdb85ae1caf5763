"""A word list stands in for the model that would be loaded here once and kept warm."""

import re

GOOD = {"good", "great", "quick", "love"}
BAD = {"bad", "slow", "broken", "late"}


def run(ctx, inputs):
    return {str(review["id"]): score(review["text"]) for review in inputs["reviews"]}


def score(text):
    words = re.findall(r"[a-z]+", text.lower())
    good, bad = sum(word in GOOD for word in words), sum(word in BAD for word in words)
    return (good - bad) / (good + bad) if good + bad else 0.0
