# SPDX-License-Identifier: Apache-2.0
# load.sh: until /tmp/stop is there, two processes write random files to memory, copy them and
# compare sums, and watch that the clock only goes forward; what they found is in /tmp/load.*.
work() {
	rounds=0 bad=0 last=0
	while [ ! -e /tmp/stop ]; do
		dd if=/dev/urandom of="/tmp/a.$1" bs=64k count=32 2>/dev/null
		sum=$(sha256sum <"/tmp/a.$1")
		cp "/tmp/a.$1" "/tmp/b.$1"
		[ "$(sha256sum <"/tmp/b.$1")" = "$sum" ] || bad=$((bad + 1))
		read -r now rest </proc/uptime
		now=${now%.*}${now#*.}
		[ "$now" -ge "$last" ] || bad=$((bad + 1))
		last=$now rounds=$((rounds + 1))
	done
	echo "load rounds $rounds bad $bad"
}

work 1 >/tmp/load.1 &
work 2 >/tmp/load.2 &
wait
