#!/bin/sh
# Saves all jobs to a file, and loads such a file (from Belfry or Dkron): backup-jobs.sh save|load FILE
set -eu
url=${BELFRY_URL:-http://127.0.0.1:8080}
file=${2:?usage: backup-jobs.sh save|load FILE}

case ${1:-} in
  save) curl -fsS "$url/v1/jobs?pretty" -o "$file" ;;
  load) curl -fsS -F "file=@$file" "$url/v1/restore" && echo ;;
  *) echo 'usage: backup-jobs.sh save|load FILE' >&2 && exit 2 ;;
esac
