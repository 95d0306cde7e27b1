#!/bin/bash
# Runs inside of the systemd that run.sh boots.
set -euo pipefail

trap 'echo "line $LINENO: failed"; systemctl status carillon --no-pager || true; journalctl --unit carillon --no-pager | tail -40' ERR

property() { systemctl show --property "$1" --value carillon; }
until_so() { for _ in {1..100}; do "$@" && return; sleep 0.1; done; echo "not within ten seconds: $*"; false; }

# Started is what has told so.
systemctl start carillon
carillon status | grep -q '^condition *serving'
pid=$(property MainPID)
[[ $(stat --format %u "/proc/$pid") != 0 ]]
grep -q '^CapEff:\s0*$' "/proc/$pid/status"
[[ -d /var/lib/private/carillon/data ]]

# Secrets are root's files: systemd shows them to the service, and to nobody else.
mkdir /etc/systemd/system/carillon.service.d
printf '[Service]\nLoadCredential=password:/etc/carillon/password\n' > /etc/systemd/system/carillon.service.d/password.conf
(umask 077 && printf 'a-good-one' > /etc/carillon/password)
echo 'password-file = "/run/credentials/carillon.service/password"' >> /etc/carillon/carillon.toml
systemctl daemon-reload
systemctl restart carillon
CARILLON_PASSWORD=a-good-one carillon pub channel message | grep -q '^0$'
[[ $(CARILLON_PASSWORD=wrong carillon pub channel message 2>&1 || true) == *WRONGPASS* ]]

# Read again.
echo 'client-idle-s = 600' >> /etc/carillon/carillon.toml
systemctl reload carillon
is_read() { journalctl --unit carillon --no-pager | grep -q 'client-idle-s.*600'; }
until_so is_read

# Killed, it is back, with what it kept.
pid=$(property MainPID)
systemctl kill --signal KILL carillon
is_back() { [[ $(property NRestarts) == 1 && $(property ActiveState) == active && $(property MainPID) != "$pid" ]]; }
until_so is_back

# A stop is a drain, and a success.
systemctl stop carillon
[[ $(property Result) == success ]]
[[ $(property ExecMainStatus) == 0 ]]

# What another start would not cure is not started again.
echo 'no-such-setting = 1' >> /etc/carillon/carillon.toml
if systemctl start carillon; then false; fi
[[ $(property ExecMainStatus) == 64 && $(property NRestarts) == 0 ]]
sleep 2
[[ $(property ActiveState) == failed ]]
echo 'the unit: all is well'
