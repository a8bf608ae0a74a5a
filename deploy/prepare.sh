#!/bin/sh
# Prepares this checkout for `make`: virtual environment, Python packages, and Debian packages for what is asked.
# usage: deploy/prepare.sh venv | drive | kafka | mariadb | postgres | tests | bench
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
            --editable '.[agent,databases,server,evaluation,kafka,postgres,dev]' >$VENV/install.log 2>&1 ||
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

# MariaDB's programs, for servers that tests start themselves. Debian keeps the audit plugin in mariadb-server,
# which would also start a server for the whole machine: the plugin alone is taken out of that package.
mariadb() {
    debian mariadb-server-core mariadb-client
    [ -f .tools/mariadb/server_audit.so ] && return 0
    say "taking the plugin server_audit out of Debian's mariadb-server"
    folder=$(mktemp -d)
    chmod 755 "$folder"
    (cd "$folder" && apt-get -qq download mariadb-server 2>/dev/null && dpkg-deb -x mariadb-server_*.deb files) ||
        die "apt-get could not download mariadb-server"
    mkdir -p .tools/mariadb
    cp "$folder"/files/usr/lib/mysql/plugin/server_audit.so .tools/mariadb/
    rm -rf "$folder"
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

# pgaudit for the version that is installed.
postgres_package() {
    version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
    echo "postgresql-$version-$1"
}

# sshd, sudo, rsyslogd and nginx, for hosts that tests start themselves. Nothing of them is to start by itself.
login_hosts() {
    policy=/usr/sbin/policy-rc.d
    if ! [ -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        made=1
    fi
    debian openssh-server openssh-client sshpass sudo rsyslog systemd nginx-light openssl
    if [ "${made:-}" = 1 ]; then as_root rm -f $policy; fi
}

# Postfix (with logins by SASL) and CUPS, for servers that tests start themselves. Nothing of them is to start by
# itself.
mail_and_printing() {
    policy=/usr/sbin/policy-rc.d
    made=
    if ! [ -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        made=1
    fi
    if ! command -v postconf >/dev/null; then
        echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    fi
    debian postfix sasl2-bin libsasl2-modules cups-daemon cups-client cups-filters-core-drivers
    if [ "$made" = 1 ]; then as_root rm -f $policy; fi
}

# axe-core, which tests ask what on a page bars people from using it.
axe() {
    [ -f .tools/axe/node_modules/axe-core/axe.min.js ] && return 0
    command -v npm >/dev/null || debian nodejs npm
    say "fetching axe-core into .tools"
    mkdir -p .tools/axe
    npm install --silent --no-audit --no-fund --prefix .tools/axe 'axe-core@^4.10' >/dev/null ||
        die "npm could not fetch axe-core"
}

# A certified OpenID provider, which tests of single sign-on start themselves.
oidc() {
    [ -d .tools/oidc/node_modules/oidc-provider ] && return 0
    command -v npm >/dev/null || debian nodejs npm
    say "fetching oidc-provider into .tools"
    mkdir -p .tools/oidc
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix .tools/oidc 'oidc-provider@^8.8' >/dev/null ||
        die "npm could not fetch oidc-provider"
}

tests() {
    drive
    axe
    oidc
    kafka
    postgres
    mariadb
    login_hosts
    mail_and_printing
    debian "$(postgres_package pgaudit)"
    debian chromium curl git libgdk-pixbuf2.0-bin openssh-client openssh-server openssl rclone recollcmd wget
    # The last line: a disk that forgets (tests/power_loss), a clock that is set (tests/faults).
    debian rsync zip libarchive13 libmagic1 exfat-fuse exfatprogs ntfs-3g umockdev libumockdev0 passwd \
        fuse3 gcc libc6-dev
}

# What only measuring needs, beside all that tests need.
bench() {
    tests
    $VENV/bin/python -c 'import confluent_kafka' 2>/dev/null && return 0
    say "installing confluent-kafka, to compare with"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
}

case "${1:-}" in
venv | drive | kafka | mariadb | postgres | tests | bench) "$1" ;;
*) die "usage: deploy/prepare.sh venv | drive | kafka | mariadb | postgres | tests | bench" ;;
esac
