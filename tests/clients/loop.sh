#!/bin/sh
# Loops as public provisioning scripts have them. loop.sh NAME URL [USER:PASSWORD]
set -u
name=$1 status=$2/v1/bootstrap create=$2/v1/bootstrap/create_cluster login=${3-}
body='{"action":"create_cluster","cluster":{"name":"loop.test","nodes":[]},"credentials":{"username":"'${login%%:*}'","password":"'${login#*:}'"},"license":""}'

code() { curl -q -s -k -o /dev/null -w '%{http_code}' "$@"; }

case $name in
# Is it there yet?
head) until $(curl -q --output /dev/null --silent --head --fail -k "$status"); do printf . && sleep 0.1; done ;;
retry) curl -q -s -o /dev/null --retry 50 --retry-all-errors --retry-delay 1 -f -k -u "$login" "$status" ;;
idle)
    until [ "$(curl -q -s -k -u "$login" "$status" | jq '.bootstrap_status.state == "idle"')" = true ]; do sleep 0.1; done
    ;;
address)
    until [ -n "$(curl -q -s -k "$status" | jq '.local_node_info.available_addresses[] | select(.address != "")')" ]; do
        sleep 0.1
    done
    ;;
# Is it done yet?
completed) until curl -q -s -k -u "$login" "$status" | grep -q '"state":"completed"'; do sleep 0.1; done ;;
name) until curl -q -s -k -u "$login" "$2/v1/cluster" | grep -q '"name":"'; do sleep 0.1; done ;;
stranger) until [ "$(code "$status")" = 200 ]; do sleep 0.1; done ;;
# Posts until it is taken, with the login that will be valid one day.
post)
    until [ "$(code -u "$login" -X POST -H 'Content-Type:application/json' -d "$body" "$create")" = 200 ]; do
        sleep 0.1
    done
    ;;
# Posts, and takes it as done where somebody else has.
once)
    until answer=$(curl -q -s -k -u "$login" -w '\n%{http_code}' -d "$body" "$create") && case $answer in
        *200) true ;;
        *) printf %s "$answer" | grep -Eqi 'already|member|join.*progress' ;;
        esac
    do sleep 0.1; done
    ;;
*) exit 64 ;;
esac
