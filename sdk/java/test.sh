#!/bin/sh
# The SDK's own tests: the JDK is all they need. test.sh [FOLDER for the classes]
set -eu
cd "$(dirname "$0")"
classes=${1:-$(mktemp -d)}
javac --release 17 -Xlint:all,-try -Werror -encoding UTF-8 -d "$classes" src/main/java/nodeling/*.java src/test/java/nodeling/*.java
java -XX:+UseSerialGC -cp "$classes" nodeling.Runner
