#!/bin/sh
# Three jobs in a row: extract, then transform, then load, each after the success of the one before. Run once, then removed.
set -eu
url=${BELFRY_URL:-http://127.0.0.1:8080}

create() { curl -fsS "$url/v1/jobs" -d "$1" >/dev/null; }
create '{"name":"extract","schedule":"@manually","retries":2,"executor":"shell","executor_config":{"command":"echo extracted"}}'
create '{"name":"transform","parent_job":"extract","executor":"shell","executor_config":{"command":"echo transformed"}}'
create '{"name":"load","parent_job":"transform","concurrency":"forbid","executor":"shell","executor_config":{"command":"echo loaded"}}'

curl -fsS -X POST "$url/v1/jobs/extract/run" >/dev/null
until curl -fsS "$url/v1/runs?job=load&outcome=succeeded" | grep -q '"group"'; do sleep 0.2; done
for job in load transform extract; do
  group=$(curl -fsS "$url/v1/runs?job=$job&limit=1" | sed 's/.*"group":\([0-9]*\).*/\1/')
  curl -fsS "$url/v1/runs/$group/log"
  curl -fsS -X DELETE "$url/v1/jobs/$job" >/dev/null
done
