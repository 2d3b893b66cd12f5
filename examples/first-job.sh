#!/bin/sh
# Creates a job that runs every five seconds, waits for its first run, shows what it did, and removes it.
set -eu
url=${BELFRY_URL:-http://127.0.0.1:8080}

curl -fsS "$url/v1/jobs" -d '{
  "name": "hello",
  "schedule": "@every 5s",
  "executor": "shell",
  "executor_config": {"shell": "true", "command": "echo hello from $BELFRY_JOB, due at $BELFRY_SCHEDULED_AT"}
}' >/dev/null
echo "created; waiting for its first run"
until curl -fsS "$url/v1/runs?job=hello&outcome=succeeded" | grep -q '"group"'; do sleep 1; done
curl -fsS "$url/v1/jobs/hello/executions?pretty"
curl -fsS -X DELETE "$url/v1/jobs/hello" >/dev/null
