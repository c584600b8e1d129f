#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Requests to the hypervisor by the port godwit.ctl, one per argument; their replies.
for p in /sys/class/virtio-ports/*; do
	[ "$(cat "$p/name")" = godwit.ctl ] && exec 3<>"/dev/${p##*/}"
done
for request; do
	echo "$request" >&3
	while read -r line <&3; do
		echo "$line"
		case $line in
		ok | error*) break ;;
		esac
	done
done
