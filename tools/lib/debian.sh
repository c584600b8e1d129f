# SPDX-License-Identifier: Apache-2.0
# Where this machine gets its Debian packages from: helpers shared by tools/setup,
# tools/guest-images and tools/courier-src. Sourced, never run. No mirror is named here on purpose: what the machine
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

# aptq COMMAND...: apt on a state of our own in $CACHE, with the sources of apt_prepare.
aptq() {
	local tool=$1
	shift
	"$tool" -q -o Dir::State="$CACHE/apt/state" -o Dir::State::status="$CACHE/apt/status" \
		-o Dir::Cache="$CACHE/apt/cache" -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$CACHE/apt/sources.d" -o APT::Sandbox::User= \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Acquire::Retries=5 -o APT::Architecture=amd64 -o APT::Architectures=amd64 "$@"
}

apt_prepare() {
	local mirror
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || { echo "no Debian archive among the machine's apt sources" >&2; exit 1; }
	mkdir -p "$CACHE/apt/state/lists/partial" "$CACHE/apt/cache/archives/partial" \
		"$CACHE/apt/sources.d" "$CACHE/debs"
	: >"$CACHE/apt/status"
	printf 'Types: deb deb-src\nURIs: %s\nSuites: bookworm bookworm-backports\nComponents: main\nSigned-By: %s\n' \
		"$mirror" "$(debian_keyring "$mirror")" >"$CACHE/apt/sources.d/guest.sources"
	aptq apt-get update -qq >&2
}

prepared=
apt_once() {
	[ -n "$prepared" ] || apt_prepare
	prepared=1
}
