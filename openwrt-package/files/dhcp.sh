# For the hooks of the DHCP clients: leaves what the WAN was offered for the agent, which checks it.
# shellcheck shell=dash
# shellcheck disable=SC3043 # `local` is known to ash.

# The WAN's name at netifd, by which the agent knows the files; like the agent, without blanks around it.
rcwmp_wan() {
	local wan
	wan="$(uci -q get cwmp.cpe.default_wan_interface | tr -d '[:space:]')"
	echo "${wan:-wan}"
}

# rcwmp_offer INTERFACE NAME=HEX...
#
# Writes the lines whose values are hexadecimal digits, and nothing else than digits; all values come from whoever
# plays the DHCP server, and are data from end to end. Where none is left, what was offered before stays.
rcwmp_offer() {
	local dir="$IPKG_INSTROOT/var/run/rcwmp/dhcp" name="$1" line text=''
	case "$name" in '' | .* | *[!A-Za-z0-9_.-]*) return 0 ;; esac
	[ "${#name}" -le 64 ] || return 0
	shift
	for line; do
		case "${line#*=}" in '' | *[!0-9A-Fa-f]*) continue ;; esac
		# 4096 octets are more than an option can be.
		[ "${#line}" -le 8200 ] || continue
		text="$text$line
"
	done
	[ -n "$text" ] || return 0
	# A lease is renewed often, and the agent would look again each time.
	[ -f "$dir/$name" ] && [ "$(cat "$dir/$name")" = "${text%?}" ] && return 0
	(umask 077 && mkdir -p "$dir" && printf '%s' "$text" > "$dir/.$name") && mv -f "$dir/.$name" "$dir/$name"
}
