//! Programs in the place of opkg and apk: they edit the database as the real ones do, and say what those say.
#![allow(dead_code)]

/// What opkg of OpenWrt does and says, as far as an operation can tell.
pub const OPKG: &str = r#"#!/bin/sh
ROOT=${0%/bin/opkg}; S=$ROOT/usr/lib/opkg/status; I=$ROOT/usr/lib/opkg/info
echo "$@" >>"$ROOT/calls"
MODE=$(cat "$ROOT/mode" 2>/dev/null)
version() { awk -v RS= -v n="$1" '$2 == n { print $4 }' "$S"; }
without() { awk -v RS= -v n="$1" '$2 != n { print $0 "\n" }' "$S" >"$S.new"; mv "$S.new" "$S"; }
put() { without "$1"; printf 'Package: %s\nVersion: %s\nStatus: install user installed\nInstalled-Time: 300\n\n' "$1" "$2" >>"$S"
  echo "/etc/init.d/$1" >"$I/$1.list"; }
case "$MODE" in
  nospace) echo "Collected errors:"; echo " * verify_pkg_installable: Only have 12kb available on filesystem /overlay, pkg x needs 99"; exit 255;;
  depends) echo " * satisfy_dependencies_for: Cannot satisfy the following dependencies for x:" >&2; exit 255;;
  quiet) exit 0;;
  slow) sleep 100;;
esac
case "$1" in
  install)
    T=$(mktemp -d); tar -xzf "$2" -C "$T" ./control.tar.gz && tar -xzf "$T/control.tar.gz" -C "$T" ./control || exit 255
    N=$(sed -n 's/^Package: //p' "$T/control"); V=$(sed -n 's/^Version: //p' "$T/control"); rm -r "$T"
    OLD=$(version "$N")
    if [ "$OLD" = "$V" ]; then echo "Package $N ($V) installed in root is up to date."; exit 0; fi
    if [ -n "$OLD" ] && [ "$(printf '%s\n' "$OLD" "$V" | sort -V | tail -n 1)" = "$OLD" ]; then
      echo "Not downgrading package $N on root from $OLD to $V."; exit 0; fi
    put "$N" "$V"; echo "Configuring $N.";;
  remove)
    [ "$2" = --autoremove ] || exit 1
    if [ "$3" = needed ]; then echo "Package needed is depended upon by packages:"; exit 255; fi
    without "$3"; rm -f "$I/$3.list"; echo "Removing package $3 from root...";;
  update) [ "$MODE" = offline ] && { echo "*** Failed to download the package list"; exit 1; }; exit 0;;
  upgrade) put "$2" 9.9;;
  *) exit 1;;
esac
"#;

/// What apk of OpenWrt does and says; its package files are here lines of "NAME VERSION".
pub const APK: &str = r#"#!/bin/sh
ROOT=${0%/usr/bin/apk}; D=$ROOT/lib/apk/db/installed; W=$ROOT/etc/apk/world
echo "$@" >>"$ROOT/calls"
version() { awk -v RS= -F'\n' -v n="P:$1" '$1 == n { print substr($2, 3) }' "$D"; }
without() { awk -v RS= -F'\n' -v n="P:$1" '$1 != n { print $0 "\n" }' "$D" >"$D.new"; mv "$D.new" "$D"; }
put() { without "$1"; printf 'P:%s\nV:%s\nF:etc/init.d\nR:%s\n\n' "$1" "$2" "$1" >>"$D"; }
DO=$1; shift; SIM=
while [ "${1#--}" != "$1" ]; do [ "$1" = --simulate ] && SIM=1; shift; done
case $DO in
  add)
    read -r _ <"$1" || { echo "ERROR: $1: v2 package format error"; exit 99; }
    while read -r N V; do LAST=$N
      OLD=$(version "$N")
      [ "$OLD" = "$V" ] && continue
      VERB=Upgrading
      [ -z "$OLD" ] && VERB=Installing
      [ -n "$OLD" ] && [ "$(printf '%s\n' "$OLD" "$V" | sort -V | tail -n 1)" = "$OLD" ] && VERB=Downgrading
      echo "(1/1) $VERB $N ($V)"
      [ -n "$SIM" ] || put "$N" "$V"
    done <"$1"
    [ -n "$SIM" ] || echo "$LAST><Q1abc" >>"$W"
    echo "OK: 12 MiB in 3 packages";;
  del) without "$1";;
  update) ;;
  upgrade) put "$1" 9.9;;
esac
"#;
