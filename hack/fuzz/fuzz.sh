#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, two at a time, and says how each fared. What one finds is kept below the
# testdata/fuzz of its package, from where go test tries it from then on.
#
# usage: fuzz.sh TIME [TARGET...]    for instance: fuzz.sh 10m FuzzRule
set -euo pipefail
cd "$(dirname "$0")/../.."

export time=${1:?usage: fuzz.sh TIME [TARGET...]}
shift
wanted=" $* "
# What is interesting of earlier runs stays beside the programs, and later runs begin with it.
export out=$PWD/bin/fuzz
mkdir -p "$out"

targets=$(grep -roE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' internal controllers api | while IFS=: read -r file func; do
	target=${func#func }
	if [[ $wanted == "  " || $wanted == *" $target "* ]]; then
		echo "$(dirname "$file") $target"
	fi
done | sort)

# Fuzzing needs everything compiled anew, once: one package after the other, so that nothing is compiled twice.
while read -r package; do
	echo "building  ./$package"
	go test -c -fuzz . -o "$out/$(basename "$package").test" "./$package"
done < <(cut -d' ' -f1 <<<"$targets" | sort -u)

run() {
	local package=$1 target=$2 log=$out/$2.log
	# One worker each: on two cores, two targets at a time use both. Making what is interesting smaller would take a minute of
	# a target that is slow, for each.
	if (cd "$package" && "$out/$(basename "$package").test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.fuzzcachedir "$out/corpus/$target" \
		-test.fuzzminimizetime 1s -test.parallel 1 -test.timeout 0) >"$log" 2>&1; then
		printf 'ok    %-16s %-22s %s\n' "$target" "$package" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
		return
	fi
	# The end of the time can come while an input is tried, and then the testing package takes its own deadline for a failure
	# (https://github.com/golang/go/issues/75804). Of an input that really fails, or hangs, it says where it was written.
	if grep -q '^ *context deadline exceeded$' "$log" && ! grep -qE 'Failing input written|hung or terminated|panic' "$log"; then
		printf 'ok    %-16s %-22s %s, ended by its time\n' "$target" "$package" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
		return
	fi
	printf 'FAIL  %-16s %s\n' "$target" "$package"
	grep -v '^fuzz: elapsed' "$log" | head -c 6000
	return 1
}
export -f run
xargs -P 2 -L 1 bash -c 'run "$0" "$1"' <<<"$targets"
