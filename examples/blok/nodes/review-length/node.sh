set -euo pipefail
text=$(cat)
printf '%s' "${#text}"
