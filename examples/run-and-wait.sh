#!/bin/sh
# Runs a job now, waits for its end, prints its log, and exits 0 only when it succeeded: run-and-wait.sh JOB
set -eu
url=${BELFRY_URL:-http://127.0.0.1:8080}
job=${1:?usage: run-and-wait.sh JOB}

answer=$(curl -fsS -X POST "$url/v1/jobs/$job/run")
group=$(echo "$answer" | sed -n 's/.*"group":\([0-9]*\).*/\1/p')
while :; do
  run=$(curl -fsS "$url/v1/runs/$group")
  case $run in *'"phase":"final"'*) break ;; esac
  sleep 0.2
done
# Its log, a piece at a time: X-Belfry-Next says where to read on. A run that never started has none.
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
from=0
while curl -fsS -D "$headers" "$url/v1/runs/$group/log?from=$from&limit=1048576" 2>/dev/null; do
  next=$(tr -d '\r' <"$headers" | sed -n 's/^[Xx]-[Bb]elfry-[Nn]ext: //p')
  [ "$next" -gt "$from" ] || break
  from=$next
done
case $run in *'"phase":"final","outcome":"succeeded"'*) exit 0 ;; *) exit 1 ;; esac
