#!/bin/sh
# A configuration for one container: logs to its output, sites from conf.d, a default site if there is none.
set -e
if [ ! -e /etc/nginx/nginx.conf ]; then
    cat >/etc/nginx/nginx.conf <<'CONF'
user root;
master_process off;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 128; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    include /etc/nginx/conf.d/*.conf;
}
CONF
fi
if [ -z "$(ls -A /etc/nginx/conf.d)" ]; then
    cat >/etc/nginx/conf.d/default.conf <<'CONF'
server {
    listen 80;
    root /usr/share/nginx/html;
}
CONF
fi
exec "$@"
