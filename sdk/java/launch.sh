#!/bin/sh
# Starts the JVM of a node: launch.sh JAVA [OPTION…] MAIN [ARGUMENT…]
#
# A JVM can neither move its stdin and stdout out of the node's reach nor forget an environment variable, so this is done
# before it starts: the channel's descriptors come in a property, and stdout is the log.
if [ -n "$NODELING_FDS" ]; then
  fds=$NODELING_FDS
  unset NODELING_FDS
elif [ "$NODELING" = 1 ]; then
  exec 3<&0 4>&1 0</dev/null 1>&2
  fds=3,4
fi
java=$1
shift
exec "$java" ${fds:+"-Dnodeling.fds=$fds"} "$@"
