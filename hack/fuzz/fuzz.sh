#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, two at a time, and says how each fared. What one finds is kept below the
# testdata/fuzz of its package, from where go test tries it from then on.
#
# usage: fuzz.sh TIME [TARGET...]    for instance: fuzz.sh 10m FuzzRule
set -euo pipefail
cd "$(dirname "$0")/../.."

time=${1:?usage: fuzz.sh TIME [TARGET...]}
shift
wanted=" $* "
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# One worker each: on two cores, two targets at a time use both, and a build of one overlaps with the run of another.
run() {
	local package=$1 target=$2 log=$3/$2.log
	if go test "./$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel 1 -timeout 0 >"$log" 2>&1; then
		printf 'ok    %-16s %-22s %s\n' "$target" "$package" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
		return
	fi
	printf 'FAIL  %-16s %s\n' "$target" "$package"
	grep -v '^fuzz: elapsed' "$log" | head -c 6000
	return 1
}
export -f run
export time

grep -rnoE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' internal controllers api | while IFS=: read -r file _ func; do
	target=${func#func }
	if [[ $wanted == "  " || $wanted == *" $target "* ]]; then
		echo "$(dirname "$file") $target"
	fi
done | sort | xargs -P 2 -L 1 bash -c 'run "$0" "$1" '"'$logs'"
