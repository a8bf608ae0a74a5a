#!/bin/sh
# Prepares this checkout for `make`: virtual environment, Python packages, and Debian packages for what is asked.
# usage: deploy/prepare.sh venv | drive | kafka | postgres | tests | bench
# Says what it installs; does nothing where all is there. Needs Debian (or a relative) with Python 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VENV=.venv

say() { printf '==> %s\n' "$*"; }
die() { printf 'prepare: %s\n' "$*" >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi; }

# Installs the Debian packages that are missing. A lock held by another apt is waited for.
debian() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    command -v apt-get >/dev/null || die "these packages are needed, and apt-get is not here:$missing"
    say "installing Debian packages:$missing"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "run as root: apt-get install$missing"
    fi
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || say "apt-get update failed, trying with the old lists"
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive as_root apt-get -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends install $missing >/dev/null ||
        die "apt-get could not install$missing"
}

venv() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "$PYTHON must be Python 3.11 or newer"
    if ! [ -x $VENV/bin/python ]; then
        "$PYTHON" -c 'import ensurepip' 2>/dev/null ||
            debian "$("$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        say "making the virtual environment $VENV"
        "$PYTHON" -m venv $VENV
    fi
    # Anew whenever the list of dependencies changes.
    wanted=$(sha256sum pyproject.toml | cut -c1-64)
    if [ "$(cat $VENV/.prepared 2>/dev/null)" != "$wanted" ]; then
        say "installing Python packages (a minute or two the first time)"
        $VENV/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
        $VENV/bin/python -m pip install --disable-pip-version-check --progress-bar off \
            --editable '.[agent,server,kafka,postgres,dev]' >$VENV/install.log 2>&1 ||
            { tail -n 20 $VENV/install.log >&2; die "the Python packages could not be installed (all of it: $VENV/install.log)"; }
        sed -n 's/^Successfully installed/    installed:/p' $VENV/install.log
        printf '%s' "$wanted" >$VENV/.prepared
    fi
}

# mkfs, mount and setpriv, for a drive behind a loop device. Only root can mount one.
drive() {
    if [ "$(id -u)" = 0 ]; then debian e2fsprogs mount util-linux; fi
}

kafka() {
    command -v java >/dev/null || debian default-jre-headless
    command -v mvn >/dev/null || debian maven
}

# PostgreSQL's programs, for servers that tests start and end themselves. Debian's package would also make and
# start one for the whole machine: not where we are the ones who install it.
postgres() {
    [ -n "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ] && return 0
    debian postgresql-common
    drop_in=/etc/postgresql-common/createcluster.d/leaver.conf
    as_root mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' | as_root tee $drop_in >/dev/null
    debian postgresql
    as_root rm -f $drop_in
}

tests() {
    drive
    kafka
    postgres
    debian rsync zip libarchive13 libmagic1 exfat-fuse exfatprogs ntfs-3g umockdev libumockdev0 passwd
}

# What only measuring needs, beside all that tests need.
bench() {
    tests
    $VENV/bin/python -c 'import confluent_kafka' 2>/dev/null && return 0
    say "installing confluent-kafka, to compare with"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
}

case "${1:-}" in
venv | drive | kafka | postgres | tests | bench) "$1" ;;
*) die "usage: deploy/prepare.sh venv | drive | kafka | postgres | tests | bench" ;;
esac
