#!/bin/sh
# A page that says where it runs, served by busybox.
echo "pod $LABKIT_POD, address $LABKIT_IP, node $LABKIT_NODE" >/www/index.html
exec httpd -f -p 8080 -h /www
