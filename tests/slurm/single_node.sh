#!/usr/bin/env bash
# single_node.sh start|stop: a Slurm of one node, this machine, for the tests. Debian or Ubuntu, as root.
#
# `start` installs the distribution's packages where sbatch is missing, writes /etc/slurm/slurm.conf (where only root
# and nobody's cluster has one: another file is never replaced) and starts munge, the controller and the node; no
# systemd, no accounting. `stop` ends what `start` started and removes what it wrote; packages stay.
set -euo pipefail

MARK="# written by tests/slurm/single_node.sh"
CONF=/etc/slurm/slurm.conf
GRES=/etc/slurm/gres.conf
STATE=/var/tmp/slurm-of-tests

fail() {
    echo "single_node.sh: $*" >&2
    exit 1
}

install_packages() {
    command -v sbatch slurmctld slurmd munged srun >/dev/null && return
    command -v apt-get >/dev/null || fail "sbatch is not installed and there is no apt-get; install Slurm, or run this on Debian or Ubuntu"
    echo "Installing slurm-wlm and munge (60 MB)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >"$STATE/apt.log" 2>&1 ||
        fail "apt-get could not install slurm-wlm and munge; see $STATE/apt.log"
}

write_configuration() {
    local host memory
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    mkdir -p /etc/slurm "$STATE"/{state,spool,log}
    cat >"$CONF" <<EOT
$MARK
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=200000
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
StateSaveLocation=$STATE/state
SlurmdSpoolDir=$STATE/spool
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
MinJobAge=300
KillWait=5
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$memory Gres=gpu:1 State=UNKNOWN
PartitionName=tests Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOT
    printf '%s\nName=gpu Count=1 File=/dev/null\n' "$MARK" >"$GRES" # a GPU in name alone
}

start_munge() {
    pgrep -x munged >/dev/null && return
    install -d -o munge -g munge -m 0755 /run/munge
    install -d -o munge -g munge -m 0700 /var/log/munge /var/lib/munge
    runuser -u munge -- /usr/sbin/munged
    cp /run/munge/munged.pid "$STATE/munged.pid" # written before munged goes to the background
}

start() {
    [ "$(id -u)" = 0 ] || fail "must run as root: try sudo make test-slurm"
    [ ! -e "$CONF" ] || grep -qxF "$MARK" "$CONF" ||
        fail "$CONF is another cluster's configuration and stays as it is; run the tests where there is none"
    stop
    mkdir -p "$STATE"
    install_packages
    write_configuration
    start_munge
    slurmctld
    slurmd
    for _ in $(seq 30); do
        sleep 1
        [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && return
    done
    fail "the node did not come up within 30 s; see $STATE/log"
}

stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -s "$STATE/$daemon.pid" ]; then
            pid=$(cat "$STATE/$daemon.pid")
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$daemon" ] || kill "$pid"
            for _ in $(seq 50); do [ -e "/proc/$pid" ] && sleep 0.1 || break; done
        fi
    done
    for file in "$CONF" "$GRES"; do
        ! grep -qsxF "$MARK" "$file" || rm "$file"
    done
    rm -rf "$STATE"
}

case "${1:-}" in
start | stop) "$1" ;;
*) fail "expected start or stop" ;;
esac
