#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/packaging/install.sh install|uninstall
#
# Puts what was built where it belongs, or takes it away. PREFIX is /usr/local, and all of
# it goes below DESTDIR. SYSCONFDIR is /etc, or PREFIX/etc for another PREFIX than /usr and
# /usr/local; SYSTEMD is PREFIX/lib/systemd. A configuration that is there stays as it is,
# and is taken away only as it came.
set -eu

cd "$(dirname "$0")/../.."
prefix=${PREFIX:-/usr/local}
case $prefix in
/usr | /usr/local) etc=${SYSCONFDIR:-/etc} ;;
*) etc=${SYSCONFDIR:-$prefix/etc} ;;
esac
systemd=${SYSTEMD:-$prefix/lib/systemd}
case $prefix in
/usr) zsh=$prefix/share/zsh/vendor-completions ;;
*) zsh=$prefix/share/zsh/site-functions ;;
esac

# files FUNCTION PAGE...: calls it with SOURCE TARGET MODE of each
files() {
	for page; do
		[ "$page" != "$1" ] || continue
		"$1" "$page" "$prefix/share/man/man${page##*.}/${page##*/}" 644
	done
	"$1" build/portsnoop "$prefix/bin/portsnoop" 755
	"$1" build/manual/portsnoop.bash "$prefix/share/bash-completion/completions/portsnoop" 644
	"$1" build/manual/_portsnoop "$zsh/_portsnoop" 644
	"$1" tools/packaging/portsnoop.service "$systemd/system/portsnoop.service" 644
	"$1" tools/packaging/portsnoop.sysusers "$prefix/lib/sysusers.d/portsnoop.conf" 644
	"$1" tools/packaging/portsnoop.logrotate "$etc/logrotate.d/portsnoop" 644
	"$1" tools/packaging/portsnoop.conf "$etc/portsnoop/portsnoop.conf" 644
}

is_configuration() {
	case $1 in
	"$etc"/*) true ;;
	*) false ;;
	esac
}

# Called by files, as the next one.
# shellcheck disable=SC2317
put() {
	target=${DESTDIR-}$2
	if is_configuration "$2" && [ -e "$target" ]; then
		return
	fi
	install -d "${target%/*}"
	case $1 in
	*.service)
		sed "s|/usr/bin/portsnoop|$prefix/bin/portsnoop|" "$1" >"$target"
		chmod "$3" "$target"
		;;
	*) install -m "$3" "$1" "$target" ;;
	esac
}

# shellcheck disable=SC2317
take_away() {
	target=${DESTDIR-}$2
	if is_configuration "$2" && [ -e "$target" ] && ! cmp -s "$1" "$target"; then
		echo "uninstall: $target was changed and stays" >&2
		return
	fi
	rm -f "$target"
	# Ours alone.
	case $target in
	*/portsnoop/portsnoop.conf) rmdir "${target%/*}" 2>/dev/null || true ;;
	esac
}

case ${1-} in
install) files put build/manual/*.[58] ;;
# Without a build, and pages of an older version as well.
uninstall) files take_away "${DESTDIR-}$prefix"/share/man/man[58]/portsnoop*.[58] ;;
*)
	echo "install: unknown job '${1-}': expected install or uninstall" >&2
	exit 2
	;;
esac
