#!/bin/sh
# readme.sh - the program in README.md does what is said there.
#
#   readme.sh block c README.md   prints the first block of that kind
#   readme                        this file in BUILD/test, as a test: runs
#                                 BUILD/readme, which the Makefile has compiled
set -eu

# Prints what is between the lines ```KIND and ``` of a file.
block() {
  awk -v first="\`\`\`$1" '
    $0 == "```" { if (inside) exit }
    inside
    $0 == first { inside = 1 }' "$2"
}

if [ "${1:-}" = block ]; then
  block "$2" "$3"
  exit
fi

build=$(dirname "$0")/..
got=$(LC_ALL=C "$build/readme" / /dev/null /dev/null/x | LC_ALL=C sort)
expected=$(block text "$build/../README.md" | LC_ALL=C sort)
if [ -n "$expected" ] && [ "$got" = "$expected" ]; then
  echo "ok 1 - the program prints what README.md says"
else
  echo "not ok 1 - the program prints what README.md says"
  echo "$got" | sed 's/^/# /'
fi
echo 1..1
[ "$got" = "$expected" ]
