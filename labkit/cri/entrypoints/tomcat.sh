#!/bin/sh
# A Tomcat instance of the container's own (RUNNING.txt, "Advanced Configuration - Multiple Tomcat Instances"): the home is
# the machine's, read-only; configuration, web applications, logs and work files are in CATALINA_BASE.
set -e
mkdir -p "$CATALINA_BASE/logs" "$CATALINA_BASE/temp" "$CATALINA_BASE/webapps" "$CATALINA_BASE/work"
[ -e "$CATALINA_BASE/conf" ] || cp -r "$CATALINA_HOME/conf" "$CATALINA_BASE/conf"
if [ -z "$(ls -A "$CATALINA_BASE/webapps")" ]; then
    cp -r "$CATALINA_HOME/webapps/ROOT" "$CATALINA_BASE/webapps/ROOT"
    line="<p id=\"labkit\">Served by pod $LABKIT_POD, address $LABKIT_IP, node $LABKIT_NODE</p>"
    sed -i "s|<body>|&$line|" "$CATALINA_BASE/webapps/ROOT/index.jsp"
fi
exec "$@"
