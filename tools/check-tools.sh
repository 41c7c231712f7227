#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/check-tools.sh CLANG LLVM_STRIP CC PKG_CONFIG PACKAGE...
#
# Names everything that the build lacks, in one go, instead of the first command
# that happens to fail.

clang=$1 strip=$2 cc=$3 pkg_config=$4
shift 4

missing=
lacks() { missing="$missing${missing:+, }$1"; }

command -v "${clang%% *}" >/dev/null || lacks "${clang%% *}"
command -v "${strip%% *}" >/dev/null || lacks "${strip%% *}"
if command -v "${pkg_config%% *}" >/dev/null; then
	for package; do
		$pkg_config --exists "$package" || lacks "$package (headers and library)"
	done
else
	lacks "${pkg_config%% *}"
fi
# The compiler may be two words: ccache gcc.
if ! command -v "${cc%% *}" >/dev/null; then
	lacks "${cc%% *}"
elif ! echo '#include <stdio.h>' | $cc -E -x c - >/dev/null 2>&1; then
	lacks "the C library's headers"
elif ! echo '#include <uthash.h>' | $cc -E -x c - >/dev/null 2>&1; then
	lacks uthash.h
fi

[ -z "$missing" ] && exit 0
echo "make: missing for the build: $missing; \`sudo make deps\` installs it" >&2
exit 1
