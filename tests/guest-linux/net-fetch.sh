#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# net-fetch.sh ADDRESS: the file that net-up.sh serves there, whole and right; prints the seconds.
cd /tmp || exit 1
read -r start rest </proc/uptime
wget -q -O file "http://$1/file" || exit 1
read -r end rest </proc/uptime
wget -q -O sum "http://$1/sum" && sha256sum -c sum || exit 1
echo "took $start $end"
