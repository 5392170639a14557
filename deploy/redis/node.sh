#!/bin/sh
# Run one of the Redis servers that Sentinels watch (deploy/compose.sentinel.yml): node.sh NAME [options of redis-server].
# Its role is in /data/node.conf, where a Sentinel writes it at a failover: a former master comes back as a replica.
set -eu
name=$1
shift
password=$(cat /etc/ackfirst/redis-password)
config=/data/node.conf

known_master() {
  for sentinel in sentinel-1 sentinel-2 sentinel-3; do
    # A name that does not resolve yet would take half a minute.
    found=$(REDISCLI_AUTH=$password timeout 1 redis-cli -h "$sentinel" -p 26379 --raw sentinel get-master-addr-by-name events \
      2>/dev/null | head -n 1) || continue
    case $found in redis*) echo "$found"; return ;; esac
  done
}

if [ ! -e "$config" ]; then
  # An empty disk. If Sentinels know this server as the master, its disk was lost: were it to start as it is, it would
  # hand its emptiness to the replica that has everything. Wait until they have promoted that one.
  master=$(known_master)
  while [ "$master" = "$name" ]; do
    echo "the disk of the master $name is empty: waiting until another server is promoted"
    sleep 1
    master=$(known_master)
  done
  {
    cat /etc/ackfirst/redis.conf
    echo "replica-announce-ip $name"
    [ "${master:-redis}" = "$name" ] || echo "replicaof ${master:-redis} 6379"
  } > "$config.new"
  mv "$config.new" "$config"
fi
# The password may have changed.
{ grep -v '^masterauth ' "$config"; echo "masterauth \"$password\""; } > "$config.new"
mv "$config.new" "$config"
exec redis-server "$config" "$@"
