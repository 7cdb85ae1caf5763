set -euo pipefail
bytes=$(wc -c)
echo "counted $bytes bytes" >&2   # stderr is the log
echo "{\"bytes\": $bytes}"        # stdout is the output
