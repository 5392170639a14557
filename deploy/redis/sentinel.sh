#!/bin/sh
# Run one Sentinel (deploy/compose.sentinel.yml): sentinel.sh NAME. What it learns it keeps in /data/sentinel.conf.
set -eu
name=$1
password=$(cat /etc/ackfirst/redis-password)
config=/data/sentinel.conf

if [ ! -e "$config" ]; then
  cat > "$config.new" <<CONF
port 26379
dir /tmp
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $name
sentinel monitor events redis 6379 2
sentinel down-after-milliseconds events 5000
sentinel failover-timeout events 15000
sentinel parallel-syncs events 1
CONF
  mv "$config.new" "$config"
fi
# The password may have changed.
{
  grep -v -e '^requirepass ' -e '^sentinel auth-pass ' "$config"
  echo "requirepass \"$password\""
  echo "sentinel auth-pass events \"$password\""
} > "$config.new"
mv "$config.new" "$config"
exec redis-server "$config" --sentinel
