#!/usr/bin/env bash
set -euo pipefail
text=$(cat)
echo "shouting ${#text} characters" >&2
printf '%s' "${text^^}"
