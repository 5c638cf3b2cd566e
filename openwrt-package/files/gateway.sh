# For the service: tells the devices of the LAN by DHCP who their gateway is, so that their ACS can find the two
# together (TR-069 Annex F): option 125, enterprise 3561, sub-options 4 to 6.
# shellcheck shell=dash
# shellcheck disable=SC3043 # `local` is known to ash.

# Option 125 of that enterprise as dnsmasq takes it. In octets, since what looks like a number would be sent as one.
RCWMP_OPTION=125,00:00:0d:e9:

# rcwmp_identity NAME LONGEST: what the agent says of itself, if it is printable and fits.
rcwmp_identity() {
	local name="Device.DeviceInfo.$1" text
	text="$("$IPKG_INSTROOT/usr/sbin/rcwmpd" -c get "$name" 2> /dev/null)" || return 1
	text="${text#"$name => "}"
	[ "${#text}" -le "$2" ] || return 1
	case "$text" in *[!\ -~]*) return 1 ;; esac
	echo "$text"
}

# rcwmp_sub_option NUMBER TEXT
rcwmp_sub_option() {
	local rest="$2" next
	[ -n "$rest" ] || return 0
	printf ':%02x:%02x' "$1" "${#rest}"
	while [ -n "$rest" ]; do
		next="${rest#?}"
		printf ':%02x' "'${rest%"$next"}"
		rest="$next"
	done
}

# rcwmp_take_away LAN: no other interface's devices are told any more, none's where LAN is empty. True if anything has
# changed, which is then to be committed.
rcwmp_take_away() {
	local at word changed=
	for at in $(uci -q show dhcp | sed -n 's/^\(dhcp\.[A-Za-z0-9_]*\)\.dhcp_option_force=.*/\1/p'); do
		[ "$at" != "dhcp.$1" ] || continue
		for word in $(uci -q get "$at.dhcp_option_force"); do
			case "$word" in
				"$RCWMP_OPTION"*) uci -q del_list "$at.dhcp_option_force=$word" && changed=1 ;;
			esac
		done
	done
	[ -n "$changed" ]
}

# rcwmp_tell LAN: to be committed where true.
rcwmp_tell() {
	local at="dhcp.$1" oui serial class data option old word
	[ "$(uci -q get "$at.interface")" = "$1" ] || return 1
	oui="$(rcwmp_identity ManufacturerOUI 6)" && serial="$(rcwmp_identity SerialNumber 64)" &&
		class="$(rcwmp_identity ProductClass 64)" || return 1
	[ "${#oui}" -eq 6 ] && [ -n "$serial" ] || return 1
	data="$(rcwmp_sub_option 4 "$oui")$(rcwmp_sub_option 5 "$serial")$(rcwmp_sub_option 6 "$class")"
	# Three characters an octet.
	option="$RCWMP_OPTION$(printf '%02x' $((${#data} / 3)))$data"
	old="$(uci -q get "$at.dhcp_option_force")"
	case " $old " in *" $option "*) return 1 ;; esac
	for word in $old; do
		case "$word" in "$RCWMP_OPTION"*) uci -q del_list "$at.dhcp_option_force=$word" ;; esac
	done
	uci -q add_list "$at.dhcp_option_force=$option"
}

# rcwmp_publish LAN: the DHCP server of that interface sends it to everybody, asked or not: a device has told
# who it is, and need not ask. What an interface that was the LAN before has sent goes. True if anything has changed.
rcwmp_publish() {
	local changed=
	case "$1" in '' | *[!A-Za-z0-9_]*) return 1 ;; esac
	# Somebody is at work there; another time.
	[ -z "$(uci -q changes dhcp)" ] || return 1
	if rcwmp_take_away "$1"; then changed=1; fi
	if rcwmp_tell "$1"; then changed=1; fi
	[ -n "$changed" ] && uci -q commit dhcp
}

# rcwmp_unpublish: nobody is told any more, whatever interface it was. True if anything has changed.
rcwmp_unpublish() {
	# Somebody is at work there, and what they have begun is not ours to commit.
	[ -z "$(uci -q changes dhcp)" ] || return 1
	rcwmp_take_away '' && uci -q commit dhcp
}
