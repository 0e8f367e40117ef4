#!/usr/bin/env bash
# write_help.sh PROGRAM: writes the help of each command to help, as HelpTests compares it.
set -euo pipefail
program=$1
folder=$(dirname "$0")/help
rm -rf "$folder"
mkdir "$folder"
"$program" --experimental-dump-help | python3 -c '
import json, sys

def walk(command, path=()):
    if path != ("help",):
        print(*path)
    for sub in command.get("subcommands", []):
        walk(sub, (*path, sub["commandName"]))

walk(json.load(sys.stdin)["command"])' | while read -r words; do
    name="cascade-adapt${words:+-${words// /-}}"
    # shellcheck disable=SC2086
    COLUMNS=100 "$program" $words --help >"$folder/$name.txt"
done
