#!/bin/sh
# Compiles the SDK and its kitchen sink into a folder: build_kitchen_sink.sh FOLDER
set -eu
cd "$(dirname "$0")"
javac --release 17 -Xlint:all -Werror -encoding UTF-8 -d "$1" src/main/java/nodeling/*.java kitchen_sink/KitchenSink.java
