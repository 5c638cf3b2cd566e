# For the service and uci-defaults: has the DHCP clients of the WAN ask where the ACS is (TR-069 3.1), and takes that
# back when nobody wants to know any more.
# shellcheck shell=dash
# shellcheck disable=SC3043 # `local` is known to ash.

# What stands in /etc/config/network by our doing, a line each: section, option, value. What was there before is not
# ours, and stays.
RCWMP_ASKED="$IPKG_INSTROOT/etc/rcwmp/asked"

# rcwmp_put SECTION OPTION OURS WHOLE
rcwmp_put() {
	uci -q set "network.$1.$2=$4" || return 0
	RCWMP_CHANGED=1
	RCWMP_NEWS=1
	case "$RCWMP_OURS" in
		*"$1 $2 $3
"*) ;;
		*)
			RCWMP_OURS="$RCWMP_OURS$1 $2 $3
"
			;;
	esac
}

# Has a client ask for an option and say that it speaks CWMP, unless it already says something.
# rcwmp_client SECTION PROTO VENDOR-OPTION VENDOR OPTION...
rcwmp_client() {
	local section="$1" proto="$2" option="$3" vendor="$4" asked wanted
	[ "$(uci -q get "network.$section.proto")" = "$proto" ] || return 0
	asked="$(uci -q get "network.$section.reqopts")"
	shift 4
	for wanted; do
		case " $asked " in *" $wanted "*) wanted= && break ;; esac
	done
	# Any of them will do; the last one is asked for.
	[ -z "$wanted" ] || rcwmp_put "$section" reqopts "$wanted" "${asked:+$asked }$wanted"
	[ -n "$(uci -q get "network.$section.$option")" ] || rcwmp_put "$section" "$option" "$vendor" "$vendor"
}

# Takes back what is ours, but not in these sections.
# rcwmp_take_back SECTION...
rcwmp_take_back() {
	local section option ours word old rest
	RCWMP_OURS=''
	[ -f "$RCWMP_ASKED" ] || return 0
	while read -r section option ours; do
		case "$section" in '' | *[!A-Za-z0-9_]*) continue ;; esac
		case " $* " in
			*" $section "*)
				RCWMP_OURS="$RCWMP_OURS$section $option $ours
"
				continue
				;;
		esac
		old="$(uci -q get "network.$section.$option")" || continue
		rest=''
		case "$option" in
			reqopts) for word in $old; do [ "$word" = "$ours" ] || rest="${rest:+$rest }$word"; done ;;
			vendorid | vendorclass) [ "$old" = "$ours" ] || rest="$old" ;;
			*) continue ;;
		esac
		[ "$rest" != "$old" ] || continue
		RCWMP_CHANGED=1
		if [ -n "$rest" ]; then
			uci -q set "network.$section.$option=$rest"
		else
			uci -q delete "network.$section.$option"
		fi
	done < "$RCWMP_ASKED"
}

# Flash is not for ever: nothing is written that stands there already.
rcwmp_settle() {
	local text="${RCWMP_OURS%?}"
	if [ -z "$text" ]; then
		rm -f "$RCWMP_ASKED"
	elif [ ! -f "$RCWMP_ASKED" ] || [ "$(cat "$RCWMP_ASKED")" != "$text" ]; then
		# Before the change itself: what is noted and not there does no harm.
		(umask 077 && mkdir -p "${RCWMP_ASKED%/*}" && echo "$text" > "$RCWMP_ASKED.new") &&
			mv -f "$RCWMP_ASKED.new" "$RCWMP_ASKED"
	fi
	[ -z "$RCWMP_CHANGED" ] || uci -q commit network
}

# rcwmp_ask WAN: true if the network must hear of it.
rcwmp_ask() {
	case "$1" in '' | *[!A-Za-z0-9_]*) return 1 ;; esac
	# Somebody is at work there; another time.
	[ -z "$(uci -q changes network)" ] || return 1
	RCWMP_CHANGED='' RCWMP_NEWS=''
	rcwmp_take_back "$1" "${1}6"
	rcwmp_client "$1" dhcp vendorid dslforum.org 125 43
	# Enterprise 3561, 12 octets: dslforum.org.
	rcwmp_client "${1}6" dhcpv6 vendorclass 00000de9000c64736c666f72756d2e6f7267 17
	rcwmp_settle
	[ -n "$RCWMP_NEWS" ]
}

# rcwmp_unask: without a word to the network, since the WAN would go down for an answer that nobody reads.
rcwmp_unask() {
	[ -f "$RCWMP_ASKED" ] || return 0
	[ -z "$(uci -q changes network)" ] || return 0
	RCWMP_CHANGED='' RCWMP_NEWS=''
	rcwmp_take_back
	rcwmp_settle
}
