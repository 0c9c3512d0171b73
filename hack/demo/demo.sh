#!/usr/bin/env bash
# The demo: a local control plane, the operator installed as a user would, a small platform and a profile for it. Then
# components fail and are repaired, and each transition of a verdict is shown. `make demo` and `make demo-down` call this.
#
#   demo.sh         run the demo; the cluster and the operator keep running
#   demo.sh down    stop everything and remove its files
#
# DEMO_DIR is the folder of its files (default: bin/demo). Ctrl-C, or any failure, stops everything that was started.
set -euo pipefail

# Decimal points and sorting must not depend on who runs this.
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT
readonly DIR=${DEMO_DIR:-$ROOT/bin/demo}
readonly CLUSTER=$DIR/cluster
readonly OPERATOR_KUBECONFIG=$DIR/operator.kubeconfig
readonly OPERATOR_LOG=$DIR/operator.log
readonly OPERATOR_PID=$DIR/operator.pid
readonly DEMO_PID=$DIR/demo.pid
readonly WATCH_RAW=$DIR/watch.raw
readonly WATCH_STAMPED=$DIR/watch.stamped

readonly CONTROLPLANE=$ROOT/bin/controlplane
readonly OPERATOR=$ROOT/bin/operator
readonly PROGRAM=$ROOT/bin/platformprofile
readonly INSTALL=hack/demo/install
readonly PLATFORM=hack/demo/platform
readonly PROFILE=hack/demo/profile.yaml
readonly DEMO_LABEL=platformprofile.dev/demo=platform
readonly DEMO_EVENTS=involvedObject.kind=PlatformProfile,involvedObject.name=demo

readonly NODES=3
readonly NAMESPACE=platformprofile-system
readonly ACCOUNT=platformprofile-manager

# How long to wait for anything, in seconds: far more than it takes, even on a busy machine.
readonly PATIENCE=60
readonly WIDTH=100

# --- Output -----------------------------------------------------------------------------------------------------------

bold='' dim='' green='' red='' yellow='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

# header TITLE [EXPECTATION]: begins a step.
header() {
	printf '\n%s== %s%s\n' "$bold" "$1" "$plain"
	if [[ -n ${2:-} ]]; then
		say "$2"
	fi
}

# say TEXT [INDENT]: running text, folded to the width of the page.
say() {
	local indent=${2:-   }
	printf '%s\n' "$1" | fold -s -w $((WIDTH - ${#indent})) | sed "s/^/$indent/; s/ *\$//"
}

fail() {
	printf '%sdemo: %s%s\n' "$red" "$1" "$plain" >&2
	exit 1
}

# quoted ARGS...: puts into REPLY what one would type for these arguments.
quoted() {
	local arg safe='^[][A-Za-z0-9_./:=,@%+-]+$' quote="'\\''"
	REPLY=''
	for arg in "$@"; do
		if [[ ! $arg =~ $safe || $arg == *[][]* ]]; then
			arg="'${arg//\'/$quote}'"
		fi
		REPLY+="${REPLY:+ }$arg"
	done
}

# show COMMAND...: shows a command. One that is too long goes on in the next line, and can be copied all the same.
show() {
	quoted "$@"
	printf '$ %s\n' "$REPLY" | fold -s -w $((WIDTH - 6)) | sed "\$!s/\$/\\\\/; s/^/   $bold/; 2,\$s/^   /     /; s/\$/$plain/"
}

# page indents what commands print, and cuts what does not fit on the page. Line by line as they come, which sed and awk do
# not promise: people watch.
page() {
	local line
	while IFS= read -r line; do
		if ((${#line} > WIDTH - 3)); then
			line=${line:0:WIDTH-6}...
		fi
		printf '   %s\n' "$line"
	done
}

# run COMMAND...: shows a command, then runs it.
run() {
	show "$@"
	"$@" | page
}

# run_counting COMMAND...: the same, for commands that print a line for each of many objects.
run_counting() {
	local lines
	show "$@"
	lines=$("$@")
	say "$(wc -l <<<"$lines" | tr -d ' ') objects"
}

# now: puts the time in microseconds into NOW. No process is started for it, which would take as long as what is measured.
now() {
	NOW=${EPOCHREALTIME/./}
}

# seconds MICROSECONDS: puts "1.23 s" into REPLY.
seconds() {
	local hundredths=$((($1 + 5000) / 10000))
	printf -v REPLY '%d.%02d s' $((hundredths / 100)) $((hundredths % 100))
}

# --- Processes --------------------------------------------------------------------------------------------------------

# running PIDFILE WORDS: puts the process's number into REPLY if it is alive and its command line has the words in it. A
# number alone proves nothing: it may belong to another process by now.
running() {
	local command
	REPLY=''
	[[ -s $1 ]] && read -r REPLY <"$1" || return 1
	if [[ -d /proc/self ]]; then
		command=$(tr '\0' ' ' 2>/dev/null <"/proc/$REPLY/cmdline") || return 1
	else
		command=$(ps -o args= -p "$REPLY") || return 1
	fi
	[[ $command == *"$2"* ]]
}

# end_process PIDFILE WORDS: ends a process, and waits until it is gone.
end_process() {
	local pid tenths
	if running "$1" "$2"; then
		pid=$REPLY
		kill -TERM "$pid" 2>/dev/null || true
		for ((tenths = 0; tenths < 150; tenths++)); do
			running "$1" "$2" || break
			sleep 0.1
		done
		if running "$1" "$2"; then
			kill -KILL "$pid" 2>/dev/null || true
		fi
	fi
	rm -f "$1"
}

stop_operator() {
	end_process "$OPERATOR_PID" "$OPERATOR"
}

# stop_cluster [--purge]: a control plane that was interrupted while it started may need a moment until it can be stopped.
stop_cluster() {
	local attempt
	[[ -d $CLUSTER ]] || return 0
	for attempt in 1 2 3 4 5; do
		if "$CONTROLPLANE" down --dir "$CLUSTER" "$@"; then
			return 0
		fi
		sleep "$attempt"
	done
	return 1
}

# stop_watch ends what start_watch started; the stamping loop ends with its input.
WATCH_PID=''
stop_watch() {
	if [[ -n $WATCH_PID ]]; then
		kill -TERM "$WATCH_PID" 2>/dev/null || true
		wait "$WATCH_PID" 2>/dev/null || true
		WATCH_PID=''
	fi
	rm -f "$WATCH_RAW" "$WATCH_STAMPED"
}

FINISHED='' STARTING=''
on_exit() {
	local code=$?
	set +eu
	# Whoever is impatient and presses Ctrl-C again must not stop the cleaning up.
	trap '' INT TERM HUP
	stop_watch
	rm -f "$DIR/output"
	if [[ -n $FINISHED ]]; then
		rm -f "$DEMO_PID"
		return
	fi
	if ((code < 128)) && [[ -s $OPERATOR_LOG ]]; then
		printf '\nThe last lines of %s:\n' "$OPERATOR_LOG" >&2
		tail -n 5 "$OPERATOR_LOG" | cut -c 1-400 >&2
	fi
	printf '\n%sThe demo failed (exit code %d): stopping the operator and the control plane.%s\n' "$bold" "$code" "$plain" >&2
	# Between its start and its first answer the number that was noted, or its command line, may not be there yet.
	if [[ -n $STARTING && -n $! ]]; then
		kill -TERM "$!" 2>/dev/null
		wait "$!"
	fi
	stop_operator
	stop_cluster
	printf 'Everything is stopped. Logs are in %s; make demo-down removes them.\n' "$DIR" >&2
	rm -f "$DEMO_PID"
}

# free_port: puts a port into REPLY on which nothing listens. From below the range that outgoing connections use.
free_port() {
	local attempt
	for ((attempt = 0; attempt < 100; attempt++)); do
		REPLY=$((20000 + RANDOM % 12000))
		if ! (: <>"/dev/tcp/127.0.0.1/$REPLY") 2>/dev/null; then
			return
		fi
	done
	fail "cannot find a free port"
}

# answers_ok PORT PATH: whether a server on this machine answers 200. A fresh machine may have no curl.
answers_ok() {
	(
		exec 3<>"/dev/tcp/127.0.0.1/$1"
		printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
		read -r -t 2 line <&3
		[[ $line == HTTP/*" 200"* ]]
	) 2>/dev/null
}

# --- The verdicts -----------------------------------------------------------------------------------------------------

# One line for each requirement, whenever the profile's status changes, and a dot behind the last.
# shellcheck disable=SC2016 # the dollars are the template's
readonly VERDICTS='{{range .status.layers}}{{$layer := .name}}{{range .requirements}}{{$layer}}/{{.name}}|{{.verdict}}|{{with .health}}{{.}}{{end}}|{{with .message}}{{.}}{{end}}
{{end}}{{end}}.
'

# start_watch follows the profile's status. A watch sees every change when it is served, where asking again and again would
# see some of them, later. Each line is stamped on arrival, so that nothing which this script does meanwhile counts.
start_watch() {
	stop_watch
	mkfifo "$WATCH_RAW" "$WATCH_STAMPED"
	kubectl get platformprofile demo --watch -o go-template="$VERDICTS" >"$WATCH_RAW" 2>&1 &
	WATCH_PID=$!
	while IFS= read -r line; do
		printf '%s|%s\n' "${EPOCHREALTIME/./}" "$line"
	done <"$WATCH_RAW" >"$WATCH_STAMPED" &
	exec {WATCH}<"$WATCH_STAMPED"
	declare -gA OUTCOME=()
}

# outcome VERDICT HEALTH: puts both into REPLY, in a word where one says it all.
outcome() {
	REPLY=$1
	if [[ $1 == Satisfied && -n $2 && $2 != Healthy ]]; then
		REPLY="$1 ($2)"
	fi
}

# painted OUTCOME: puts it into REPLY, coloured.
painted() {
	case $1 in
	Satisfied | Attested) REPLY=$green$1$plain ;;
	Satisfied* | Unknown) REPLY=$yellow$1$plain ;;
	*) REPLY=$red$1$plain ;;
	esac
}

# expect REQUIREMENT OUTCOME: waits for it, and shows each verdict that turns until then, with the time since $CHANGED.
expect() {
	local requirement=$1 wanted=$2 found=${OUTCOME[$1]:-} limit at name verdict health message old new took
	now
	limit=$((NOW + PATIENCE * 1000000))
	# An outcome counts only at the end of one whole status, which a dot marks.
	while [[ $found != "$wanted" || ${name:-} != . ]]; do
		if ! IFS='|' read -r -t 1 -u "$WATCH" at name verdict health message; then
			running "$OPERATOR_PID" "$OPERATOR" || fail "the operator exited"
			now
			((NOW < limit)) || fail "$requirement did not become $wanted within $PATIENCE s; it is ${found:-unknown}"
			continue
		fi
		if [[ $name != */* ]]; then
			[[ $name == . ]] || fail "the watch of the profile ended: $name"
			continue
		fi
		outcome "$verdict" "$health"
		new=$REPLY old=${OUTCOME[$name]:-}
		OUTCOME[$name]=$new
		if [[ $name == "$requirement" ]]; then
			found=$new
		fi
		if [[ -z $old || $old == "$new" ]]; then
			continue
		fi
		seconds $((at - CHANGED)) && took=$REPLY
		painted "$old" && old=$REPLY
		painted "$new" && new=$REPLY
		printf '   %s%s%s: %s -> %s  %s(%s)%s\n' "$bold" "$name" "$plain" "$old" "$new" "$dim" "$took" "$plain"
		if [[ $name == "$requirement" ]]; then
			say "$message" "      "
		fi
	done
}

# change COMMAND...: runs a command that changes something; the clock starts with it. kubectl's own start is included, so
# the times shown are never shorter than the real ones.
change() {
	show "$@"
	now
	CHANGED=$NOW
	if ! "$@" >"$DIR/output" 2>&1; then
		cat "$DIR/output" >&2
		fail "the command failed"
	fi
}

# --- The acts ---------------------------------------------------------------------------------------------------------

check_prerequisites() {
	local file
	((BASH_VERSINFO[0] >= 5)) || fail "bash 5 or later is required; this is $BASH_VERSION"
	for file in "$OPERATOR" "$PROGRAM" "$CONTROLPLANE"; do
		[[ -x $file ]] || fail "$file is missing: run it as \`make demo\`, which builds what it needs"
	done
	# As bin/controlplane does: where envtest's binaries are there, they are used.
	KUBECTL_DIR=$ROOT/bin/k8s
	if [[ -x ${KUBEBUILDER_ASSETS:-/nonexistent}/kubectl ]]; then
		KUBECTL_DIR=$KUBEBUILDER_ASSETS
	fi
	[[ -x $KUBECTL_DIR/kubectl ]] || fail "$KUBECTL_DIR/kubectl is missing: run \`make controlplane\`"
}

start_cluster() {
	header "A Kubernetes control plane: etcd, API server, controllers, scheduler; KWOK plays $NODES nodes"
	"$CONTROLPLANE" up --dir "$CLUSTER" --nodes "$NODES" 2>&1 >/dev/null | page
	export KUBECONFIG=$CLUSTER/admin.kubeconfig
	# The user's own cache stays clean of a cluster that lives for minutes.
	export KUBECACHEDIR=$DIR/kube-cache
	export PATH=$KUBECTL_DIR:$PATH
}

# reset takes away what an earlier run left, also what was changed by hand since: applying again would leave alone what
# others have added to an object.
reset() {
	if ! kubectl get crd platformprofiles.platformprofile.dev >/dev/null 2>&1; then
		return
	fi
	header "Taking away what the last run left"
	run kubectl delete platformprofile demo --ignore-not-found
	# Events outlive what they are about.
	kubectl delete events --field-selector "$DEMO_EVENTS" >/dev/null
	run_counting kubectl delete deployments,daemonsets,statefulsets --all-namespaces -l "$DEMO_LABEL"
}

install_operator() {
	header "The operator: installed from config/default, as a user would"
	run kubectl apply --server-side --force-conflicts -k "$INSTALL"
	run kubectl wait --for=condition=Established --timeout="${PATIENCE}s" \
		crd/platformprofiles.platformprofile.dev crd/platformcomponents.platformprofile.dev \
		crd/platformwaivers.platformprofile.dev
}

# write_operator_kubeconfig writes what a pod of the operator would have: the server, its CA, and the ServiceAccount's
# token. There is nothing of the administrator in it.
write_operator_kubeconfig() {
	local server ca token
	server=$(kubectl config view --minify --raw -o jsonpath='{.clusters[0].cluster.server}')
	ca=$(kubectl config view --minify --raw -o jsonpath='{.clusters[0].cluster.certificate-authority-data}')
	token=$(kubectl -n "$NAMESPACE" create token "$ACCOUNT" --duration=24h)
	(
		umask 077
		cat >"$OPERATOR_KUBECONFIG" <<-EOF
			apiVersion: v1
			kind: Config
			clusters:
			- name: demo
			  cluster:
			    server: $server
			    certificate-authority-data: $ca
			users:
			- name: $ACCOUNT
			  user:
			    token: $token
			contexts:
			- name: demo
			  context:
			    cluster: demo
			    user: $ACCOUNT
			current-context: demo
		EOF
	)
}

start_operator() {
	local started tenths probes account
	header "Start the operator with the permissions of its ServiceAccount"
	say "KWOK only simulates pods. Therefore the Deployment of the operator has no replicas, and the program runs on this host, \
with a token of its ServiceAccount $ACCOUNT."
	write_operator_kubeconfig
	free_port && probes=$REPLY
	free_port && METRICS_PORT=$REPLY
	show "${OPERATOR#"$ROOT"/}" --kubeconfig "${OPERATOR_KUBECONFIG#"$ROOT"/}" ...
	now
	started=$NOW
	STARTING=yes
	# It lives on after this script and its terminal.
	nohup "$OPERATOR" --kubeconfig "$OPERATOR_KUBECONFIG" \
		--health-probe-bind-address "127.0.0.1:$probes" \
		--metrics-bind-address "127.0.0.1:$METRICS_PORT" --metrics-insecure \
		>"$OPERATOR_LOG" 2>&1 </dev/null &
	echo $! >"$OPERATOR_PID"
	for ((tenths = 0; ; tenths++)); do
		kill -0 "$(<"$OPERATOR_PID")" 2>/dev/null || fail "the operator exited; its log is $OPERATOR_LOG"
		! answers_ok "$probes" /readyz || break
		((tenths < PATIENCE * 10)) || fail "the operator was not ready within $PATIENCE s; its log is $OPERATOR_LOG"
		sleep 0.1
	done
	STARTING=''
	now
	seconds $((NOW - started))
	account=$(kubectl --kubeconfig "$OPERATOR_KUBECONFIG" auth whoami -o jsonpath='{.status.userInfo.username}')
	say "Ready after $REPLY, as $account."
	may get daemonsets.apps
	may get secrets
	may delete pods
}

# may VERB RESOURCE: shows whether the operator has a permission. kubectl's exit code says no as well.
may() {
	printf '   can it %s %s? %s\n' "$1" "$2" \
		"$(kubectl --kubeconfig "$OPERATOR_KUBECONFIG" auth can-i "$1" "$2" --all-namespaces || true)"
}

roll_out_platform() {
	header "A small platform: Cilium, MetalLB, ingress-nginx, Velero, Argo CD, Prometheus, Falco, Vault..."
	run_counting kubectl apply --server-side --force-conflicts -k "$PLATFORM"
	say "Waiting for the rollout. Then the discovered components with their evidence:"
	kubectl wait deployments --all-namespaces -l "$DEMO_LABEL" --for=condition=Available --timeout="${PATIENCE}s" >/dev/null
	kubectl wait daemonsets --all-namespaces -l "$DEMO_LABEL" \
		--for=jsonpath='{.status.numberReady}'="$NODES" --timeout="${PATIENCE}s" >/dev/null
	kubectl wait statefulsets --all-namespaces -l "$DEMO_LABEL" \
		--for=jsonpath='{.status.readyReplicas}'=1 --timeout="${PATIENCE}s" >/dev/null
	run "${PROGRAM#"$ROOT"/}" discover
}

apply_profile() {
	header "A profile with the requirements for this platform"
	run kubectl apply -f "$PROFILE"
	run kubectl wait --for=condition=Conformant platformprofile/demo --timeout="${PATIENCE}s"
	run kubectl get platformprofile
	start_watch
	now
	CHANGED=$NOW
	expect network/cni Satisfied
}

delete_falco() {
	header "1. Falco's DaemonSet is deleted" \
		"Expect Missing: no component provides runtime security."
	change kubectl -n falco delete daemonset falco
	expect security/runtime-security Missing
	run kubectl get platformprofile
	say "Repair: apply the platform again."
	change kubectl apply --server-side -k "$PLATFORM"
	expect security/runtime-security Satisfied
}

break_rollout() {
	header "2. Velero is updated with a nodeSelector that no node matches" \
		"Expect Progressing, which satisfies the requirement, then Degraded after the progress deadline of 4 s."
	change kubectl -n velero patch deployment velero -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"nvme"}}}}}'
	expect storage/backup Degraded
	say "Repair: undo the rollout."
	change kubectl -n velero rollout undo deployment/velero
	expect storage/backup Satisfied
}

change_version() {
	header "3. ingress-nginx is set back to a version that the profile does not allow" \
		"Expect VersionMismatch: the profile requires >=1.12.0."
	change kubectl -n ingress-nginx set image deployment/ingress-nginx-controller \
		controller=registry.k8s.io/ingress-nginx/controller:v1.9.6
	expect network/ingress VersionMismatch
	say "Repair: set the required version."
	change kubectl -n ingress-nginx set image deployment/ingress-nginx-controller \
		controller=registry.k8s.io/ingress-nginx/controller:v1.13.3
	expect network/ingress Satisfied
}

add_second_cni() {
	header "4. Calico is installed in addition to Cilium" \
		"Expect Conflict: the profile allows only one of them."
	change kubectl apply -f hack/demo/calico.yaml
	expect network/cni Conflict
	say "Repair: delete Calico."
	change kubectl delete -f hack/demo/calico.yaml
	expect network/cni Satisfied
}

take_permission() {
	local path
	header "5. The operator loses the permission to read DaemonSets" \
		"Expect Unknown with the name of the permission, and not Missing: the operator cannot read whether Falco is installed."
	# Where it is in the role: the role is generated, and its order is no promise.
	# shellcheck disable=SC2016 # the dollars are the template's
	path=$(kubectl get clusterrole "$ACCOUNT" -o go-template='{{range $i, $rule := .rules}}{{range $j, $name := .resources}}{{if eq $name "daemonsets"}}/rules/{{$i}}/resources/{{$j}}{{end}}{{end}}{{end}}')
	[[ -n $path ]] || fail "the ClusterRole $ACCOUNT does not name daemonsets"
	change kubectl patch clusterrole "$ACCOUNT" --type=json -p "[{\"op\":\"remove\",\"path\":\"$path\"}]"
	expect security/runtime-security Unknown
	run kubectl get platformprofile
	say "Repair: install the permissions again."
	change kubectl apply --server-side --force-conflicts -k "$INSTALL"
	expect security/runtime-security Satisfied
}

show_result() {
	header "Result"
	run kubectl wait --for=condition=Conformant platformprofile/demo --timeout="${PATIENCE}s"
	run kubectl get platformprofile
	say "The events of the profile. Events of cluster-scoped objects are in the namespace default."
	run kubectl -n default get events --field-selector "$DEMO_EVENTS" --sort-by=.metadata.creationTimestamp \
		-o custom-columns=TYPE:.type,REASON:.reason,MESSAGE:.message
}

closing() {
	now
	seconds $((NOW - STARTED))
	header "The demo took $REPLY. The cluster and the operator keep running. To continue:"
	quoted "$KUBECONFIG"
	printf '   export KUBECONFIG=%s\n' "$REPLY"
	quoted "$KUBECTL_DIR"
	# shellcheck disable=SC2016 # the user's shell expands it
	printf '   export PATH=%s:$PATH   # for this kubectl\n' "$REPLY"
	cat <<-EOF

		   kubectl get pprofile -o wide --watch              # leave it running in a second terminal
		   kubectl describe pprofile demo                    # every verdict, its evidence and remediation
		   kubectl explain pprofile.spec.layers.requirements # the fields of a requirement
		   kubectl events --for platformprofile/demo         # transitions of verdicts
		   kubectl -n grafana scale deployment grafana --replicas=0
		   kubectl annotate storageclass standard storageclass.kubernetes.io/is-default-class-
		   kubectl delete namespace vault
	EOF
	quoted "$PROGRAM"
	cat <<-EOF
		   $REPLY discover
		   $REPLY check -f $ROOT/$PROFILE

		   The operator's log:     $OPERATOR_LOG
		   The operator's metrics: http://127.0.0.1:$METRICS_PORT/metrics
		   Start again:                 make demo
		   Stop it and clean up:        make demo-down
	EOF
}

# --- Commands ---------------------------------------------------------------------------------------------------------

demo() {
	check_prerequisites
	now
	STARTED=$NOW
	mkdir -p "$DIR"
	if running "$DEMO_PID" demo.sh; then
		fail "a demo is already running in $DIR (process $REPLY)"
	fi
	trap on_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	echo $$ >"$DEMO_PID"
	# Paths in the commands shown are relative to here.
	cd "$ROOT"

	# One of an earlier run: the program may be another by now, and its token ends after a day.
	stop_operator
	start_cluster
	reset
	install_operator
	start_operator
	roll_out_platform
	apply_profile
	header "Failures and repairs" \
		"Times are from the start of the kubectl command until the API server has served the verdict."
	delete_falco
	break_rollout
	change_version
	add_second_cni
	take_permission
	show_result
	closing
	FINISHED=yes
}

down() {
	# A demo that is still under way stops what it started by itself.
	end_process "$DEMO_PID" demo.sh
	stop_operator
	if [[ -d $CLUSTER && ! -x $CONTROLPLANE ]]; then
		fail "$CONTROLPLANE is missing, which stops the control plane in $CLUSTER: run \`make controlplane\`"
	fi
	stop_cluster --purge
	# Only what this script has made: DEMO_DIR may be a directory with other things in it.
	rm -rf "$OPERATOR_KUBECONFIG" "$OPERATOR_LOG" "$WATCH_RAW" "$WATCH_STAMPED" "$DIR/output" "$DIR/kube-cache"
	rmdir "$DIR" 2>/dev/null || true
}

case ${1:-} in
'' | up) demo ;;
down) down ;;
-h | --help | help) sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" ;;
*) fail "unknown command $1: see --help" ;;
esac
