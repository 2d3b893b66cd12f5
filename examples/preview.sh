#!/bin/sh
# Says what a schedule means and when it runs next: preview.sh '30 2 * * 1-5' [ZONE]
set -eu
url=${BELFRY_URL:-http://127.0.0.1:8080}
schedule=${1:?usage: preview.sh SCHEDULE [ZONE]}

curl -fsS "$url/v1/schedule/preview?pretty" -d "{\"schedule\":\"$schedule\",\"timezone\":\"${2:-UTC}\",\"count\":5}"
echo
