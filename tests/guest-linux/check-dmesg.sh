# SPDX-License-Identifier: Apache-2.0
# Prints every line of the guest kernel's log that is a warning or worse, then their number.
# Fails when there is one. Not counted: the frequency driver's complaint that a virtual machine
# has no _CPC object, as it makes in any virtual machine with an AMD processor since Linux 6.12.
known='amd_pstate: the _CPC object is not present in SBIOS or ACPI disabled'
dmesg -r | grep '^<[0-9]*>' >/tmp/dmesg
count=0
while read -r line; do
	level=${line#<}
	level=${level%%>*}
	# The facility sits above the three level bits.
	[ $((level & 7)) -le 4 ] || continue
	case $line in *"$known"*) continue ;; esac
	echo "godwit-guest: warn ${line#*>}"
	count=$((count + 1))
done </tmp/dmesg
echo "godwit-guest: warnings $count"
[ "$count" -eq 0 ]
