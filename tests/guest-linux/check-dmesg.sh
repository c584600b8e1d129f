# SPDX-License-Identifier: Apache-2.0
# Prints every line of the guest kernel's log that is a warning or worse, then their number.
# Fails when there is one. Noted, but not counted:
# - the frequency driver's complaint that a virtual machine has no _CPC object, as it makes in
#   any virtual machine with an AMD processor since Linux 6.12;
# - the clock watchdog coming late, while both clocks it compares agree to a hundredth: a busy
#   host kept the emulated machine from running for half a second.
harmless() {
	case $1 in
	*"amd_pstate: the _CPC object is not present in SBIOS or ACPI disabled"*) return 0 ;;
	*"clocksource: Long readout interval, skipping watchdog check: cs_nsec: "*) ;;
	*) return 1 ;;
	esac
	cs=${1##*cs_nsec: }
	cs=${cs%% *}
	wd=${1##*wd_nsec: }
	apart=$((cs > wd ? cs - wd : wd - cs))
	[ $((apart * 100)) -le "$wd" ]
}

dmesg -r | grep '^<[0-9]*>' >/tmp/dmesg
count=0
while read -r line; do
	level=${line#<}
	level=${level%%>*}
	# The facility sits above the three level bits.
	[ $((level & 7)) -le 4 ] || continue
	# How long an interrupt took says how busy the machine below the host is, nothing of ours.
	case $line in *"hrtimer: interrupt took"*) continue ;; esac
	if harmless "$line"; then
		echo "godwit-guest: noted ${line#*>}"
		continue
	fi
	echo "godwit-guest: warn ${line#*>}"
	count=$((count + 1))
done </tmp/dmesg
echo "godwit-guest: warnings $count"
[ "$count" -eq 0 ]
