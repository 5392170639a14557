#!/bin/sh
# Write the parts of the edge's configuration that depend on the environment, then run nginx.
set -eu
made=/tmp/edge
certificates=/etc/ackfirst/tls
mkdir -p "$made"

# Refuse here what ingest refuses as too large (ingest/limits.py).
limit=1048576

# Find the ingest containers. nginx 1.27.3 and newer re-resolves the name and keeps connections open. An older nginx
# resolves it for each request, which also follows `--scale`, but opens a connection each time.
cat > "$made/resolving.conf" <<'NGINX'
resolver 127.0.0.11 valid=1s ipv6=off;
upstream ingest {
    zone ingest 256k;
    server ingest:8080 resolve max_fails=2 fail_timeout=10s;
    keepalive 64;
    keepalive_timeout 60s;
}
NGINX
printf 'events {}\npid %s/check.pid;\nerror_log /dev/null;\nhttp { include %s/resolving.conf; }\n' "$made" "$made" > "$made/check.conf"
if nginx -t -q -c "$made/check.conf" 2>/dev/null; then
  cp "$made/resolving.conf" "$made/http.conf"
  echo 'proxy_pass http://ingest;' > "$made/pass.conf"
  upstream='kept connections'
else
  echo 'resolver 127.0.0.11 valid=1s ipv6=off;' > "$made/http.conf"
  printf 'set $ingest ingest;\nproxy_pass http://$ingest:8080;\n' > "$made/pass.conf"
  upstream='a connection for each request: this nginx is older than 1.27.3'
fi

cat >> "$made/http.conf" <<NGINX
client_max_body_size $limit;
server {
    listen 8080 default_server;
    include /etc/ackfirst/callbacks.conf;
}
NGINX

if [ -e "$certificates/fullchain.pem" ] && [ -e "$certificates/privkey.pem" ]; then
  cat >> "$made/http.conf" <<NGINX
ssl_certificate $certificates/fullchain.pem;
ssl_certificate_key $certificates/privkey.pem;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:tls:1m;
ssl_session_timeout 1h;
ssl_session_tickets off;
server {
    listen 8443 ssl default_server;
    include /etc/ackfirst/callbacks.conf;
}
NGINX
  tls='on port 8443'
else
  tls='off: config/tls/fullchain.pem and privkey.pem turn it on'
fi
printf '{"level":"info","event":"edge.started","tls":"%s","upstream":"%s"}\n' "$tls" "$upstream"
exec nginx -c /etc/ackfirst/nginx.conf -g 'daemon off;'
