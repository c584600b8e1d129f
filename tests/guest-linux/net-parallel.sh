#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# net-parallel.sh ADDRESS: on each processor at once, again and again, the file that net-up.sh
# serves there; each has to be whole and right.
cd /tmp || exit 1
wget -q -O sum "http://$1/sum" || exit 1
read -r want rest <sum
one() {
	for round in 1 2 3; do
		got=$(taskset -c "$1" wget -q -O - "http://$2/file" | sha256sum)
		[ "${got%% *}" = "$want" ] || { echo "processor $1: $got"; echo 1 >bad; }
	done
}
rm -f bad
for cpu in 0 1 2 3; do
	one "$cpu" "$1" &
done
wait
[ ! -e bad ]
