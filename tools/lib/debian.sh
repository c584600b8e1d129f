# SPDX-License-Identifier: Apache-2.0
# Where this machine gets its Debian packages from: helpers shared by tools/setup and
# tools/guest-images. Sourced, never run. No mirror is named here on purpose: what the machine
# already trusts and reaches is used for the suites we add.

# debian_release: prints the major version of the Debian this runs on ("12"), or nothing.
debian_release() {
	[ -r /etc/os-release ] || return 0
	# shellcheck disable=SC1091
	(. /etc/os-release; [ "${ID:-}" = debian ] && printf '%s\n' "${VERSION_ID:-}"; :)
}

# debian_mirror: prints the URI of the first configured archive that carries component main
# of a stable Debian release (the security and vendor archives do not have our suites).
debian_mirror() {
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 ~ /^(bookworm|trixie|stable|oldstable)$/ && $2 == "main" && $3 !~ /^cdrom:/ {
			sub(/\/$/, "", $3); print $3; exit }'
}

# debian_keyring: prints the keyring file named by the entry for mirror $1, else Debian's own.
debian_keyring() {
	local key
	key=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
		/etc/apt/sources.list.d/*.list 2>/dev/null | awk -v uri="$1" '
		function flush() { if (has && key ~ /^\//) { print key; exit } has = 0; key = "" }
		/^[ \t]*$/ { flush(); next }
		/^URIs:/ { has = index($0 "/", uri "/") > 0 || index($0 " ", uri " ") > 0 }
		/^Signed-By:/ { key = $2 }
		/^deb / && index($0, uri) && match($0, /signed-by=[^] ,]*/) {
			print substr($0, RSTART + 10, RLENGTH - 10); exit }
		END { flush() }' | head -n 1)
	printf '%s\n' "${key:-/usr/share/keyrings/debian-archive-keyring.gpg}"
}
