# SPDX-License-Identifier: Apache-2.0
# traffic.sh ADDRESS: until /tmp/stop is there, fetches the file of net-up.sh and pings; what came
# of it is in /tmp/traffic.
ping -i 0.1 "$1" >/tmp/ping &
ping=$!
good=0 bad=0
while [ ! -e /tmp/stop ]; do
	if sh /tests/net-fetch.sh "$1" >/tmp/fetch 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		cat /tmp/fetch
	fi
done >/tmp/failed
kill -INT $ping
wait
cat /tmp/failed
tail -n 3 /tmp/ping
echo "fetched $good failed $bad"
